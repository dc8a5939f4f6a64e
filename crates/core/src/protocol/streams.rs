//! Durable channels: what an agent is told of them, and what it tells of their consumers.

use serde::{Deserialize, Serialize};

/// The durable part of the contract, as short as the spec says it. Who has to read which stream follows from it:
/// [`crate::streams::wanted`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DurableEvents {
    /// The groups of channels that are durable.
    #[serde(default)]
    pub channels: Vec<DurableChannels>,
    /// Services, each with what it subscribes to.
    #[serde(default)]
    pub subscribers: Vec<Subscriber>,
    /// For how long a consumer group is kept that no service has, milliseconds.
    #[serde(default)]
    pub forget_after_ms: u64,
}

/// A group of durable channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DurableChannels {
    /// Name of the group.
    pub name: String,
    /// Its events: each has a channel, `<name>:<event>`.
    pub events: Vec<String>,
    /// For how long an event is kept, milliseconds.
    pub retention_ms: u64,
}

/// A service that subscribes to something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// Name of the service, and of its consumer groups.
    pub service: String,
    /// Whole groups (`task`) and single channels (`task:completed`).
    pub subscribe: Vec<String>,
}

/// How the consumers of durable channels get on. Nothing in it moves while they do: their figures are in the agent's metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConsumersStatus {
    /// Those with an unacknowledged event that is older than its channel keeps events.
    #[serde(default, skip_serializing_if = "Consumers::is_empty")]
    pub behind: Consumers,
    /// Those of which events were dropped within the last hour before they had acknowledged them.
    #[serde(default, skip_serializing_if = "Consumers::is_empty")]
    pub lost: Consumers,
}

/// Some consumers. A report has to be short, however many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Consumers {
    /// How many there are.
    pub number: usize,
    /// The first of them.
    pub first: Vec<Consumer>,
}

/// A service that consumes a durable channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Consumer {
    /// The channel.
    pub channel: String,
    /// The service.
    pub service: String,
}

impl Consumers {
    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.number == 0
    }
}
