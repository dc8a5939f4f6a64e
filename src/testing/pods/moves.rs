//! How the lead moves: by Sentinels, and from one agent to another.

use super::{DATA, State};
use cachebus_core::protocol::{HandoverCause, HandoverOutcome, HandoverReport};

impl State {
    /// Sentinels name another primary, and only that one knows.
    pub(super) fn promote(&mut self, to: &str) {
        self.config_epoch += 1;
        let epoch = self.following[to].1 + 1;
        self.following.insert(to.to_owned(), (to.to_owned(), epoch));
        for order in self.monitoring.values_mut() {
            to.clone_into(&mut order.primary);
        }
    }

    /// Sentinels name another primary, and everybody follows it.
    pub(super) fn move_all(&mut self, to: &str) {
        self.config_epoch += 1;
        for (primary, epoch) in self.following.values_mut() {
            to.clone_into(primary);
            *epoch += 1;
        }
        for order in self.monitoring.values_mut() {
            to.clone_into(&mut order.primary);
        }
    }

    pub(super) fn hand_over(&mut self, from: &str, to: Option<String>) {
        let to = to.unwrap_or_else(|| {
            let mut others = DATA.into_iter().filter(|pod| *pod != from);
            others.next().unwrap().to_owned()
        });
        self.move_all(&to);
        let before = self.handed_over.get(from);
        let report = HandoverReport {
            number: before.map_or(1, |report| report.number + 1),
            cause: HandoverCause::Ordered,
            to: Some(to),
            outcome: HandoverOutcome::Done { write_gap_ms: 50 },
        };
        self.handed_over.insert(from.to_owned(), report);
    }
}
