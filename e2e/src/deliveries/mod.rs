//! What producers of durable events were told, what services did with the events, and what is to be made of it.
//!
//! A producer numbers the events of each of its keys. It emits an event again, under the same id, until it is acknowledged, and
//! only then the next one of its key. Told to stop it leaves an event where it is: nobody knows then whether it was emitted.
//! A service is one consumer at a time. Its handler writes an event down before it returns, and so before the event is
//! acknowledged by the service: what was not written down is handed out again.

mod check;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::history::Micros;

pub use check::{Verdict, check};

/// What events are ordered by: one of a producer's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Number of the producer. No other emits events of this key.
    pub producer: u16,
    /// Number among the keys of the producer.
    pub number: u16,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.producer, self.number)
    }
}

/// The id of an event, `evt_<producer>-<key>-<sequence>`: it is the same however often the event is emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId {
    /// Its key.
    pub key: Key,
    /// Its place among the events of the key, from 0 on.
    pub sequence: u32,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}-{}", self.key, self.sequence)
    }
}

impl FromStr for EventId {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let numbers = text.strip_prefix("evt_").unwrap_or_default();
        let parts: Vec<&str> = numbers.split('-').collect();
        let [producer, number, sequence] = parts.as_slice() else {
            bail!("{text:?} is the id of no event of a producer");
        };
        let read = || {
            let (producer, number) = (producer.parse()?, number.parse()?);
            let key = Key { producer, number };
            let sequence = sequence.parse()?;
            anyhow::Ok(Self { key, sequence })
        };
        read().with_context(|| format!("{text:?}, as the id of an event"))
    }
}

impl TryFrom<String> for EventId {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        text.parse()
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.to_string()
    }
}

/// What an event tells: the same as its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// Its key.
    pub key: String,
    /// Its place among the events of the key.
    pub sequence: u32,
}

impl From<EventId> for Data {
    fn from(id: EventId) -> Self {
        Self {
            key: id.key.to_string(),
            sequence: id.sequence,
        }
    }
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// What a producer was told of an event.
    Emitted(Emission),
    /// What a service's handler has done with an event.
    Handled(Handling),
    /// What a service's consumer counted as an error.
    Failed(Failure),
}

/// What a producer was told of an event. Each event has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emission {
    /// The event.
    pub event: EventId,
    /// Whether the bus has said that it is safe. If not, it may have been emitted all the same.
    pub acknowledged: bool,
    /// When the last attempt ended.
    pub ended: Micros,
    /// Attempts that failed, by the kind of their error.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<String, u64>,
}

/// An event that was handled. In a history they stand in the order in which they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handling {
    /// The event.
    pub event: EventId,
    /// How often it had been handed out by then.
    pub deliveries: u64,
    /// When its handler was done.
    pub ended: Micros,
}

/// Errors that a consumer counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The label `reason` of `event_errors_total`.
    pub reason: String,
    /// How many events, or attempts.
    pub events: u64,
    /// When.
    pub at: Micros,
}

/// Who takes part, and what they are called in a contract.
pub mod contract {
    /// The service that emits.
    pub const PRODUCER: &str = "shop";

    /// The services that handle what it emits, each all of it.
    pub const CONSUMERS: [&str; 3] = ["audit", "billing", "shipping"];

    /// The group of the channel.
    pub const GROUP: &str = "order";

    /// The channel's event.
    pub const EVENT: &str = "placed";

    /// The channel.
    pub const CHANNEL: &str = "order:placed";

    /// The key of its stream.
    pub const STREAM: &str = "events:order:placed:stream";
}
