//! What became of the events at one service.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::{Emission, EventId, Handling, Key};
use crate::history::{Micros, told};

/// What is to be made of what one service did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Events that their producer was told to be safe.
    pub acknowledged: u64,
    /// Events that were handled, each counted once.
    pub handled: u64,
    /// Acknowledged events that never were, and when each was acknowledged.
    pub lost: BTreeMap<EventId, Micros>,
    /// Events that were not acknowledged, and handled all the same.
    pub unknown: u64,
    /// Times that an event was handled again: what a service has to remove by the id.
    pub duplicates: u64,
    /// Times that an event was handled which had been handed out before, whether or not it was handled then.
    pub redelivered: u64,
    /// Events that were first handled after a later one of their key.
    pub reordered: u64,
    /// Events that were handled and that nobody emitted.
    pub unexplained: u64,
}

impl Verdict {
    /// What must never be, whatever fails. `lost` depends on what was promised.
    #[must_use]
    pub fn impossible(&self) -> Vec<String> {
        let counts = [
            (self.reordered, "reordered"),
            (self.unexplained, "unexplained"),
        ];
        told(counts)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} acknowledged events lost, {} handled, {} of them not acknowledged, {} duplicates, {} handled that were \
             handed out before, {} reordered, {} unexplained",
            self.lost.len(),
            self.acknowledged,
            self.handled,
            self.unknown,
            self.duplicates,
            self.redelivered,
            self.reordered,
            self.unexplained,
        )
    }
}

/// Compares what producers were told with what one service did, in the order in which it did it.
#[must_use]
pub fn check(emissions: &[Emission], handlings: &[Handling]) -> Verdict {
    let mut verdict = Verdict::default();
    let emitted: HashMap<EventId, bool> = emissions
        .iter()
        .map(|emission| (emission.event, emission.acknowledged))
        .collect();
    let mut handled = HashSet::new();
    let mut newest: HashMap<Key, u32> = HashMap::new();
    for Handling {
        event, deliveries, ..
    } in handlings
    {
        verdict.redelivered += u64::from(*deliveries > 1);
        if !handled.insert(*event) {
            verdict.duplicates += 1;
            continue;
        }
        verdict.handled += 1;
        let newest = newest.entry(event.key).or_insert(event.sequence);
        verdict.reordered += u64::from(event.sequence < *newest);
        *newest = event.sequence.max(*newest);
        match emitted.get(event) {
            Some(true) => {}
            Some(false) => verdict.unknown += 1,
            None => verdict.unexplained += 1,
        }
    }
    let acknowledged = emissions.iter().filter(|emission| emission.acknowledged);
    for emission in acknowledged {
        verdict.acknowledged += 1;
        if !handled.contains(&emission.event) {
            verdict.lost.insert(emission.event, emission.ended);
        }
    }
    verdict
}
