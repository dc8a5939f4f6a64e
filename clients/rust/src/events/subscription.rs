//! Events as they are published.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, Stream};
use redis::aio::PubSub;
use redis::{Msg, RedisError, Value};
use tokio::time::timeout;

use super::seen::Seen;
use crate::command::Command;
use crate::connection::{Connection, Repeat, translated};
use crate::contract::ChannelSpec;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::metrics::{EventFailure, Metrics};

/// After so long without anything a connection is asked whether it lives; it has as long to answer.
const SILENCE: Duration = Duration::from_secs(5);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Live events of some channels; from [`EventBus::subscribe`](super::EventBus::subscribe).
///
/// A lost connection is made again, and what was published meanwhile is filled in from the channel's history, in order. Where the
/// history does not reach back far enough, [`Subscription::gaps`] counts up: events may be missing. Each event comes once, as far as the
/// ids of the newest 4,096 tell.
///
/// While the contract has events switched off there are none, as if the connection was lost: what others publish meanwhile is filled in
/// once they are on.
///
/// ```no_run
/// # async fn example(bus: cachebus::CacheBus) -> cachebus::Result<()> {
/// let mut events = bus.events().subscribe(&["agent", "task:progress"]).await?;
/// loop {
///     let event = events.next().await?;
///     println!("{}: {}", event.channel, event.data_json());
/// }
/// # }
/// ```
pub struct Subscription {
    connection: Connection,
    channels: Vec<ChannelSpec>,
    metrics: Arc<dyn Metrics>,
    listening: Option<PubSub>,
    ready: VecDeque<Event>,
    /// The newest event of each channel; absent before the first look, `None` where there was none.
    newest: HashMap<String, Option<String>>,
    seen: Seen,
    gaps: u64,
    pause: Duration,
}

impl Subscription {
    pub(super) async fn start(
        connection: Connection,
        channels: Vec<ChannelSpec>,
        metrics: Arc<dyn Metrics>,
    ) -> Result<Self> {
        let mut subscription = Self {
            connection,
            channels,
            metrics,
            listening: None,
            ready: VecDeque::new(),
            newest: HashMap::new(),
            seen: Seen::default(),
            gaps: 0,
            pause: FIRST_PAUSE,
        };
        subscription.listen().await?;
        Ok(subscription)
    }

    /// The next event. Waits for it, however long the bus is away or switched off; [`Error::Denied`] where the service may not listen any
    /// more. Nothing is lost where it is dropped before it returns.
    pub async fn next(&mut self) -> Result<Event> {
        loop {
            if !self.connection.contract().events_enabled {
                self.listening = None;
                self.connection.events_are(true).await;
            }
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let heard = if self.listening.is_some() {
                self.hear().await
            } else {
                self.listen().await
            };
            match heard {
                Ok(()) => self.pause = FIRST_PAUSE,
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, "a subscription was cut off and is made again");
                    self.listening = None;
                    let pause = self.pause.mul_f64(0.5 + 0.5 * fastrand::f64());
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The same as a stream, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event>> {
        stream::try_unfold(self, |mut subscription| async move {
            let event = subscription.next().await?;
            Ok(Some((event, subscription)))
        })
    }

    /// How often events may be missing.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    async fn listen(&mut self) -> Result<()> {
        let mut listening = self.connection.listening().await?;
        let names: Vec<&str> = self
            .channels
            .iter()
            .map(|spec| spec.channel.as_str())
            .collect();
        let patience = self.connection.settings().command_timeout;
        timeout(patience, listening.subscribe(names))
            .await
            .map_err(|_| unanswered())?
            .map_err(|error| refused(&error))?;
        for place in 0..self.channels.len() {
            self.fill(place).await?;
        }
        self.listening = Some(listening);
        Ok(())
    }

    /// Takes from the history what came since the newest event that was seen.
    async fn fill(&mut self, place: usize) -> Result<()> {
        let spec = self.channels[place].clone();
        if spec.history == 0 {
            return Ok(());
        }
        let range = Command::new("LRANGE")
            .arg(spec.history_key())
            .arg(0)
            .arg(spec.history - 1);
        let kept: Vec<Vec<u8>> = self.connection.call(range, Repeat::Safe).await?;
        let events: Vec<Event> = kept
            .iter()
            .filter_map(|envelope| Event::decode(envelope).ok())
            .collect();
        let Some(newest) = self.newest.get(&spec.channel) else {
            let first = events.first().map(|event| event.event_id.clone());
            self.newest.insert(spec.channel, first);
            return Ok(());
        };
        let known = newest
            .as_ref()
            .and_then(|newest| events.iter().position(|event| event.event_id == *newest));
        if known.is_none() && (newest.is_some() || kept.len() as u64 == u64::from(spec.history)) {
            self.gaps += 1;
            self.metrics
                .event_error(&spec.channel, EventFailure::Gap, 1);
            tracing::warn!(
                channel = spec.channel,
                "the history does not reach back far enough"
            );
        }
        let missed = known.unwrap_or(events.len());
        for event in events.into_iter().take(missed).rev() {
            self.take(event);
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<()> {
        let Some(listening) = &mut self.listening else {
            return Ok(());
        };
        let message = {
            let mut messages = listening.on_message();
            tokio::select! {
                biased;
                () = self.connection.events_are(false) => return Ok(()),
                message = timeout(SILENCE, messages.next()) => message,
            }
        };
        match message {
            Ok(Some(message)) => {
                self.heard(&message);
                Ok(())
            }
            Ok(None) => Err(unanswered()),
            Err(_) => {
                let pong = timeout(SILENCE, listening.ping::<Value>()).await;
                pong.ok()
                    .and_then(Result::ok)
                    .map(drop)
                    .ok_or_else(unanswered)
            }
        }
    }

    fn heard(&mut self, message: &Msg) {
        let channel = message.get_channel_name();
        match Event::decode(message.get_payload_bytes()) {
            Ok(event) if event.channel == channel => self.take(event),
            Ok(_) | Err(_) => self.metrics.event_error(channel, EventFailure::Invalid, 1),
        }
    }

    fn take(&mut self, event: Event) {
        let newest = Some(event.event_id.clone());
        self.newest.insert(event.channel.clone(), newest);
        if self.seen.insert(&event.event_id) {
            self.metrics.consumed(&event.channel);
            self.ready.push_back(event);
        }
    }
}

fn unanswered() -> Error {
    Error::Unavailable("a subscription's connection does not answer".to_owned())
}

fn refused(error: &RedisError) -> Error {
    match error.code() {
        Some(code) => translated("SUBSCRIBE", code, error.detail().unwrap_or_default()),
        None => unanswered(),
    }
}
