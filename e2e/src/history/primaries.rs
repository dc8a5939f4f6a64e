//! How long two servers took writes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Micros;

/// A write that was tried on one server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The server.
    pub node: String,
    /// When it was sent.
    pub started: Micros,
    /// When its outcome was known.
    pub ended: Micros,
    /// Whether the server took it.
    pub taken: bool,
}

/// How long more than one server took writes. A server takes writes from the sending of a probe that it took to the answer
/// of the last one that it took with no other outcome between. A shorter time than from probe to probe may go unseen.
#[must_use]
pub fn writable_at_once(probes: &[Probe]) -> Duration {
    let mut nodes: BTreeMap<&str, Vec<&Probe>> = BTreeMap::new();
    for probe in probes {
        nodes.entry(&probe.node).or_default().push(probe);
    }
    // Each time that one begins or ends to take writes; where both are at once, the end comes first.
    let mut turns: Vec<(Micros, i32)> = Vec::new();
    for probes in nodes.values_mut() {
        probes.sort_by_key(|probe| probe.started);
        for run in probes.chunk_by(|one, next| one.taken == next.taken) {
            if let [first, .., last] | [first @ last] = run
                && first.taken
            {
                turns.extend([(first.started, 1), (last.ended, -1)]);
            }
        }
    }
    turns.sort_unstable();
    let (mut writable, mut since, mut total) = (0, 0, 0);
    for (at, change) in turns {
        if writable > 1 {
            total += at - since;
        }
        writable += change;
        since = at;
    }
    Duration::from_micros(total)
}
