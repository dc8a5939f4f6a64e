//! What steps may meet, and handovers that have come some way.

use crate::scene::to_the_first;
use cachebus_core::handover::{Handover, Limits, Seen, Step, refusal};
use cachebus_core::protocol::Refusal;
use std::time::Duration;

pub(crate) fn named(taken: usize, declined: usize) -> Seen {
    Seen::Named { taken, declined }
}

/// A handover whose announcement has been declined and undone, at its first step after that.
pub(crate) fn declined() -> (Handover, Step) {
    let mut handover = Handover::new(to_the_first(), false, limits());
    let mut step = handover.begin();
    while step != Step::Pick {
        let seen = match &step {
            Step::Compare => equal(),
            Step::Announce(..) => named(0, 3),
            Step::Feeds(_) => Seen::Feeds(true),
            Step::Back => Seen::Backed(true),
            _ => Seen::Done,
        };
        step = handover.next(seen, Duration::ZERO);
    }
    (handover, step)
}

pub(crate) fn limits() -> Limits {
    Limits::of(Duration::from_secs(5))
}

pub(crate) fn equal() -> Seen {
    Seen::Offsets {
        own: 1,
        chosen: 1,
        wanted: Ok(()),
    }
}

pub(crate) fn leads(pod: Option<&str>, named: usize) -> Seen {
    Seen::Watched {
        leads: pod.map(str::to_owned),
        silent: false,
        named,
    }
}

pub(crate) fn back() -> Seen {
    Seen::Feeds(true)
}

pub(crate) fn refused() -> Seen {
    Seen::Refused(Refusal {
        reason: refusal::FAILOVER_REFUSED.to_owned(),
        message: "-NOGOODSLAVE".to_owned(),
    })
}

pub(crate) fn failed() -> Seen {
    Seen::Failed(Refusal {
        reason: "Timeout".to_owned(),
        message: String::new(),
    })
}
