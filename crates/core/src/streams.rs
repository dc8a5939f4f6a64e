//! Streams of durable channels: who consumes them, and what a leading agent does about them.
//!
//! A consumer group is made for each service that subscribes to a durable channel, once there is its stream, and begins with all
//! that this keeps. A stream is never made: a bus that is empty has to look empty. A group that no service of the contract has is
//! removed after a while, for it would keep events from being trimmed; until then an agent may just not have heard of the service.

mod watch;

pub use watch::{Backlog, Group, Step, Watch};

use crate::binding::keys;
use crate::protocol::{Consumer, Consumers, ConsumersStatus, DurableEvents};
use std::collections::{BTreeMap, BTreeSet};

/// Between two rounds of looks at all streams.
pub const ROUND_MS: u64 = 15_000;
/// Streams that are looked at in one go: a round of many must not hold up other looks at the server.
pub const AT_ONCE: usize = 32;
/// Calls that trim one stream in one go, at most.
pub const TRIMS: usize = 10;
/// Groups of one stream that are removed in a round, at most: services may make groups of any name, as many as they like.
pub const REMOVALS: usize = 32;

/// A call that drops fewer entries by age has dropped all that may go.
const STOPPED_SHORT: u64 = 5_000;
/// Consumers that are named in a report.
const NAMED: usize = 8;

/// The stream of a durable channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The channel.
    pub channel: String,
    /// For how long an event is kept, milliseconds.
    pub retention_ms: u64,
    /// Services that subscribe to it; each has a consumer group of its name.
    pub services: BTreeSet<String>,
}

impl Stream {
    /// The stream's key.
    #[must_use]
    pub fn key(&self) -> String {
        keys::stream(&self.channel)
    }

    /// The key of what its consumers have lost.
    #[must_use]
    pub fn lost_key(&self) -> String {
        keys::lost(&self.channel)
    }
}

/// The streams that there are to be once events have been emitted, in the order of the spec.
#[must_use]
pub fn wanted(events: &DurableEvents) -> Vec<Stream> {
    let streams = events.channels.iter().flat_map(|group| {
        group.events.iter().map(move |event| {
            let channel = format!("{}:{event}", group.name);
            let subscribers = events.subscribers.iter().filter(|subscriber| {
                let mut named = subscriber.subscribe.iter();
                named.any(|named| *named == group.name || *named == channel)
            });
            Stream {
                services: subscribers
                    .map(|subscriber| subscriber.service.clone())
                    .collect(),
                retention_ms: group.retention_ms,
                channel,
            }
        })
    });
    streams.collect()
}

/// Whether another call may find more to trim than one that has dropped so many entries by age.
#[must_use]
pub fn may_go_on(dropped: u64) -> bool {
    dropped >= STOPPED_SHORT
}

/// What is told of the consumers of all streams.
#[must_use]
pub fn status(watches: &BTreeMap<String, Watch>) -> ConsumersStatus {
    let told = |of: fn(&Watch) -> Vec<&str>| {
        let all = watches.values().flat_map(|watch| {
            of(watch).into_iter().map(|service| Consumer {
                channel: watch.stream().channel.clone(),
                service: service.to_owned(),
            })
        });
        let all: Vec<Consumer> = all.collect();
        Consumers {
            number: all.len(),
            first: all.into_iter().take(NAMED).collect(),
        }
    };
    ConsumersStatus {
        behind: told(Watch::behind),
        lost: told(Watch::losing),
    }
}

#[cfg(test)]
mod tests;
