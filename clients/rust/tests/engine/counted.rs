//! Metrics that tests look at.

use std::collections::BTreeMap;
use std::sync::Mutex;

use cachebus::{Backlog, EventFailure, Metrics};

#[derive(Default)]
pub(crate) struct Counted(Mutex<BTreeMap<String, u64>>);

impl Counted {
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    fn add(&self, name: &str, number: u64) {
        *self.0.lock().unwrap().entry(name.to_owned()).or_default() += number;
    }
}

impl Metrics for Counted {
    fn hit(&self, _: &str, values: u64) {
        self.add("hit", values);
    }

    fn miss(&self, _: &str, values: u64) {
        self.add("miss", values);
    }

    fn published(&self, _: &str) {
        self.add("published", 1);
    }

    fn consumed(&self, _: &str) {
        self.add("consumed", 1);
    }

    fn backlog(&self, _: &str, backlog: &Backlog) {
        self.add("pending", backlog.pending);
    }

    #[cfg(feature = "outbox")]
    fn outbox(&self, backlog: &cachebus::OutboxBacklog) {
        self.add("outbox refused", backlog.refused);
    }

    fn event_error(&self, _: &str, reason: EventFailure, events: u64) {
        self.add(reason.as_str(), events);
    }
}
