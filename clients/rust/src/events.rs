//! The event bus of a service.

mod backlog;
mod consumer;
mod dead_letters;
mod entry;
mod group;
mod options;
#[cfg(feature = "outbox")]
mod outbox;
mod outcome;
mod publisher;
mod replay;
mod seen;
mod spans;
mod subscription;

use std::sync::Arc;

use futures::Stream;
use serde::Serialize;

use crate::cache::Keyspace;
use crate::command::Command;
use crate::connection::{Connection, Repeat};
use crate::contract::{ChannelSpec, Contract};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::keys::Parts;
use crate::metrics::Metrics;

pub use backlog::Backlog;
pub use consumer::{Consumer, Stopper};
pub use dead_letters::{DeadLetter, DeadLetters, Redriven};
pub use options::{ConsumerOptions, Start};
#[cfg(feature = "outbox")]
pub use outbox::{Outbox, OutboxBacklog, OutboxError, Relay, RelayOptions};
pub use outcome::{Emitted, Outcome};
pub use replay::Bound;
pub use subscription::Subscription;

/// Channels that the contract grants; from [`CacheBus::events`](crate::CacheBus::events). Cheap to clone.
///
/// A name is one event, `task:completed`, or where several are taken a whole group, `task`.
#[derive(Clone)]
pub struct EventBus {
    connection: Connection,
    metrics: Arc<dyn Metrics>,
}

impl EventBus {
    pub(crate) fn new(connection: Connection, metrics: Arc<dyn Metrics>) -> Self {
        Self {
            connection,
            metrics,
        }
    }

    /// An event of this service, now, with a new id. `data` is anything that serializes to a JSON object; else
    /// [`Error::ValueInvalid`].
    pub fn event(&self, channel: &str, data: &impl Serialize) -> Result<Event> {
        Event::new(channel, self.connection.contract().service.clone(), data)
    }

    /// Publishes an event, keeps it in the history and, on a durable channel, in the stream: in one step, once.
    ///
    /// One round trip, repeated within the deadline until an answer comes: the id makes sure that it counts once, for five minutes. On a
    /// durable channel of a bus with `durability: Quorum` it returns when enough copies have the event; [`Error::Unconfirmed`] where
    /// they do not say so in time. Durable channels need the function library ([`Error::FunctionsMissing`]); without it other events are
    /// published and kept all the same, but not told from their repetitions, and so never sent twice.
    pub async fn emit(&self, event: &Event) -> Result<Emitted> {
        let emit = publisher::emit(&self.connection, &*self.metrics, event);
        spans::emitting(event, emit).await
    }

    /// Removes up to 1,000 values and emits, in one step. For writers, after their database has the new state.
    pub async fn invalidate<V, P: Into<Parts>>(
        &self,
        keyspace: &Keyspace<V>,
        values: impl IntoIterator<Item = P>,
        event: &Event,
    ) -> Result<Emitted> {
        let keys = keyspace.keys(values)?;
        let _changing = keyspace.changing(&keys);
        let emit = publisher::invalidate(&self.connection, &*self.metrics, &keys, event);
        spans::emitting(event, emit).await
    }

    /// Live events: what is published from now on. Returns when the server listens; drop it to end.
    pub async fn subscribe(&self, names: &[&str]) -> Result<Subscription> {
        let channels = self.subscribed(names)?;
        let connection = self.connection.clone();
        Subscription::start(connection, channels, Arc::clone(&self.metrics)).await
    }

    /// A consumer of durable channels, which is to be told what to do with their events.
    pub fn consumer(&self) -> Consumer {
        Consumer::new(self.connection.clone(), Arc::clone(&self.metrics))
    }

    /// An outbox in this table of the service's PostgreSQL, `table` or `schema.table`; else [`Error::Contract`]. Nothing is asked of a
    /// database yet.
    #[cfg(feature = "outbox")]
    pub fn outbox(&self, table: &str) -> Result<Outbox> {
        Outbox::new(self.connection.clone(), Arc::clone(&self.metrics), table)
    }

    /// The newest events of a channel, the oldest of them first. O(limit). What is no envelope is left out.
    pub async fn history(&self, channel: &str, limit: u32) -> Result<Vec<Event>> {
        let spec = self.one(channel)?;
        if spec.history == 0 || limit == 0 {
            return Ok(Vec::new());
        }
        let range = Command::new("LRANGE")
            .arg(spec.history_key())
            .arg(0)
            .arg(limit - 1);
        let kept: Vec<Vec<u8>> = self.connection.call(range, Repeat::Safe).await?;
        Ok(kept
            .iter()
            .rev()
            .filter_map(|envelope| Event::decode(envelope).ok())
            .collect())
    }

    /// A durable channel's events again, oldest first, in pages of 100; both bounds are inclusive. Reads only: groups and
    /// acknowledgments stay as they are. What is no envelope is left out.
    pub fn replay(
        &self,
        channel: &str,
        since: &Bound,
        until: &Bound,
    ) -> Result<impl Stream<Item = Result<Event>> + use<>> {
        let spec = durable(self.one(channel)?)?;
        Ok(replay::events(self.connection.clone(), &spec, since, until))
    }

    /// What the service's group has yet to do on a durable channel: its lag, and its age. Two round trips, O(groups of the stream).
    /// [`Error::GroupMissing`] before a consumer has made the group.
    pub async fn backlog(&self, channel: &str) -> Result<Backlog> {
        let spec = durable(self.one(channel)?)?;
        backlog::backlog(&self.connection, &spec).await
    }

    /// The service's dead letters of a durable channel.
    pub fn dead_letters(&self, channel: &str) -> Result<DeadLetters> {
        let spec = durable(self.one(channel)?)?;
        Ok(DeadLetters::new(self.connection.clone(), &spec))
    }

    fn one(&self, channel: &str) -> Result<ChannelSpec> {
        let contract = self.connection.contract();
        match contract.subscribed(channel)?.as_slice() {
            [spec] if spec.channel == channel => Ok((*spec).clone()),
            _ => Err(Error::Contract(format!("{channel} is a group of channels"))),
        }
    }

    fn subscribed(&self, names: &[&str]) -> Result<Vec<ChannelSpec>> {
        let contract = self.connection.contract();
        let mut channels = Vec::new();
        for name in names {
            for spec in specs(&contract, name)? {
                if !channels.contains(&spec) {
                    channels.push(spec);
                }
            }
        }
        if channels.is_empty() {
            return Err(Error::Contract("no channel is named".to_owned()));
        }
        Ok(channels)
    }
}

fn specs(contract: &Contract, name: &str) -> Result<Vec<ChannelSpec>> {
    Ok(contract.subscribed(name)?.into_iter().cloned().collect())
}

fn durable(spec: ChannelSpec) -> Result<ChannelSpec> {
    if spec.durable {
        Ok(spec)
    } else {
        Err(Error::Contract(format!("{} is not durable", spec.channel)))
    }
}
