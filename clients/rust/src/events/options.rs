//! How events are consumed.

use std::time::Duration;

use uuid::Uuid;

/// Where a group that does not exist yet begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With all that the stream keeps.
    Earliest,
    /// With what comes from now on.
    Latest,
}

/// How events are consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerOptions {
    /// Name within the service's group. A process that comes back under its name goes on with what it left. Default: the variable
    /// `HOSTNAME` (the pod's name) and the process id, or something random.
    pub name: String,
    /// Where a group that does not exist yet begins. Default [`Start::Earliest`].
    pub start: Start,
    /// Events of a channel that are fetched at once, and at most so many for each handler are fetched before it has time. Default 16.
    pub batch: usize,
    /// How long one read waits; stopping takes as long. Default 1 s.
    pub block: Duration,
    /// How often a handler is tried before its event becomes a dead letter. Default 3.
    pub attempts: u32,
    /// An event that was handed out more often than this, because each consumer died over it, becomes a dead letter. Default 5.
    pub max_deliveries: u64,
    /// Pause after the first failure; it doubles with each. Default 0.1 s.
    pub backoff: Duration,
    /// The longest pause. Default 5 s.
    pub longest_backoff: Duration,
    /// A consumer that was not heard of for so long is taken for dead, and its events are claimed. Handlers may take longer: their
    /// consumer keeps saying that it lives. Default 30 s.
    pub claim_after: Duration,
    /// How often it is looked for dead consumers' events. Default 5 s.
    pub claim_every: Duration,
    /// How often the metrics are told what the group has yet to do. Default 15 s.
    pub measure_every: Duration,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            name: process(),
            start: Start::Earliest,
            batch: 16,
            block: Duration::from_secs(1),
            attempts: 3,
            max_deliveries: 5,
            backoff: Duration::from_millis(100),
            longest_backoff: Duration::from_secs(5),
            claim_after: Duration::from_secs(30),
            claim_every: Duration::from_secs(5),
            measure_every: Duration::from_secs(15),
        }
    }
}

fn process() -> String {
    match std::env::var("HOSTNAME") {
        Ok(host) if !host.is_empty() => format!("{host}-{}", std::process::id()),
        _ => Uuid::new_v4().simple().to_string(),
    }
}
