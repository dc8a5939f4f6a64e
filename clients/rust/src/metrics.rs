//! What is counted.

#[cfg(feature = "prometheus")]
mod prometheus;

use std::time::Duration;

use crate::events::Backlog;
#[cfg(feature = "outbox")]
use crate::events::OutboxBacklog;
#[cfg(feature = "prometheus")]
pub use prometheus::PrometheusMetrics;

/// Counts under the names that the product fixes. Arguments are names of the contract, never keys or values.
///
/// Every method does nothing unless it is implemented. They are called in the middle of a call: count and return.
pub trait Metrics: Send + Sync {
    /// `cache_hits_total{keyspace}`: so many values were in the cache.
    fn hit(&self, keyspace: &str, values: u64) {
        let _ = (keyspace, values);
    }

    /// `cache_misses_total{keyspace}`: so many values were not.
    fn miss(&self, keyspace: &str, values: u64) {
        let _ = (keyspace, values);
    }

    /// `events_published_total{channel}`: an event was emitted; a duplicate was not.
    fn published(&self, channel: &str) {
        let _ = channel;
    }

    /// `events_consumed_total{channel}`: an event was handled, or heard.
    fn consumed(&self, channel: &str) {
        let _ = channel;
    }

    /// `event_processing_duration_seconds{channel}`: a handler ran for so long.
    fn processed(&self, channel: &str, took: Duration) {
        let _ = (channel, took);
    }

    /// `event_errors_total{channel,reason}`.
    fn event_error(&self, channel: &str, reason: EventFailure, events: u64) {
        let _ = (channel, reason, events);
    }

    /// `events_pending{channel}`, `events_waiting{channel}` and `events_oldest_age_seconds{channel}`: what the service's group has yet
    /// to do. All consumers of a service see the same group: look at the greatest.
    fn backlog(&self, channel: &str, backlog: &Backlog) {
        let _ = (channel, backlog);
    }

    /// `events_outbox_waiting`, `events_outbox_refused` and `events_outbox_age_seconds`: what an outbox holds.
    #[cfg(feature = "outbox")]
    fn outbox(&self, backlog: &OutboxBacklog) {
        let _ = backlog;
    }
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMetrics;

impl Metrics for NoMetrics {}

/// Why an event was not handled, or may not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventFailure {
    /// A handler failed.
    Handler,
    /// An event became a dead letter.
    DeadLetter,
    /// It was no envelope.
    Invalid,
    /// It was dropped before it was handled.
    Lost,
    /// A stream or its consumer group was lost: events may be missing.
    GroupLost,
    /// A history did not reach back far enough: events may be missing.
    Gap,
    /// It could not be emitted, or nobody knows.
    Publish,
    /// The bus did not answer a consumer.
    Connection,
    /// It cannot be emitted, and is set aside in its outbox.
    Refused,
}

impl EventFailure {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::DeadLetter => "dead_letter",
            Self::Invalid => "invalid",
            Self::Lost => "lost",
            Self::GroupLost => "group_lost",
            Self::Gap => "gap",
            Self::Publish => "publish",
            Self::Connection => "connection",
            Self::Refused => "refused",
        }
    }
}
