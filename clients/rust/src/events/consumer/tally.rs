//! What a consumer counts.

use std::sync::Arc;
use std::time::Duration;

use crate::events::Backlog;
use crate::events::group::Group;
use crate::metrics::{EventFailure, Metrics};

/// Metrics by a channel's place.
pub(super) struct Tally {
    group: Arc<Group>,
    metrics: Arc<dyn Metrics>,
}

impl Tally {
    pub(super) fn new(group: Arc<Group>, metrics: Arc<dyn Metrics>) -> Self {
        Self { group, metrics }
    }

    pub(super) fn consumed(&self, channel: usize) {
        self.metrics.consumed(self.group.channel(channel));
    }

    pub(super) fn processed(&self, channel: usize, took: Duration) {
        self.metrics.processed(self.group.channel(channel), took);
    }

    pub(super) fn failed(&self, channel: usize, reason: EventFailure, events: u64) {
        self.metrics
            .event_error(self.group.channel(channel), reason, events);
    }

    pub(super) fn backlog(&self, channel: usize, backlog: &Backlog) {
        self.metrics.backlog(self.group.channel(channel), backlog);
    }

    pub(super) fn lost(&self, channel: usize, events: u64) {
        if events > 0 {
            self.failed(channel, EventFailure::Lost, events);
            tracing::error!(
                channel = self.group.channel(channel),
                events,
                "events were dropped before they were handled"
            );
        }
    }
}
