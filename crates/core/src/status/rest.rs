//! Buses that are left as they are, or put to sleep.

use super::condition::{Finding, HIBERNATED, kind};
use crate::bus::Bus;
use crate::observed::Observed;
use crate::plan::rest::still_there;

/// That the operator leaves the bus alone, where it does.
pub fn paused(bus: &Bus) -> Option<Finding> {
    bus.spec.paused.then(|| {
        let message = "the operator changes nothing: spec.paused is true".to_owned();
        Finding::good(kind::PAUSED, "Paused", message)
    })
}

/// How far the bus has gone to sleep, where it shall.
pub fn hibernated(bus: &Bus, observed: &Observed) -> Option<Finding> {
    if !bus.spec.hibernated {
        return None;
    }
    let pods = still_there(observed);
    Some(if pods.is_empty() {
        let message = "no pod runs; set spec.hibernated to false to have the bus back".to_owned();
        Finding::good(kind::HIBERNATED, HIBERNATED, message)
    } else {
        let message = format!("being stopped: {}", pods.join(", "));
        Finding::bad(kind::HIBERNATED, "Stopping", message)
    })
}

/// What is found on each concern of a bus that sleeps, or is about to.
pub fn asleep() -> impl Iterator<Item = Finding> {
    let message = "the bus is hibernated: it takes no connections".to_owned();
    let rest = [
        kind::REPLICATION_HEALTHY,
        kind::SENTINEL_QUORUM,
        kind::USERS_IN_SYNC,
        kind::CONFIGURATION_IN_SYNC,
        kind::TLS_READY,
        kind::ROLLOUT_COMPLETE,
    ];
    [Finding::bad(kind::AVAILABLE, HIBERNATED, message)]
        .into_iter()
        .chain(rest.map(Finding::asleep))
}
