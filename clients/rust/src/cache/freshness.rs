//! How old a value is, by the life that it has left: nothing is stored for it, so that every client reads the plain value.

use std::time::Duration;

/// When a value is loaded again, and how long it is of use beyond its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Freshness {
    /// The last part of a value's time in which it is loaded ahead, 0 to 1.
    pub(super) early: f64,
    /// How much longer than its time a value is stored.
    pub(super) stale_for: Duration,
}

/// What a value is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    /// Still within its time, and to be loaded ahead.
    Ripe,
    /// Beyond its time.
    Stale,
}

impl Freshness {
    /// Every value is fresh for as long as it is stored.
    pub(super) const NONE: Self = Self {
        early: 0.0,
        stale_for: Duration::ZERO,
    };

    /// The age of a value that is stored for `left`; `None`: without an end. `chance`, 0 to 1, is drawn for each read: it becomes ever
    /// likelier that one finds the value ripe, so that of many processes rather one than all load it.
    pub(super) fn age(&self, left: Option<Duration>, ttl: Duration, chance: f64) -> Age {
        let Some(left) = left else {
            return Age::Fresh;
        };
        if !self.stale_for.is_zero() && left <= self.stale_for {
            return Age::Stale;
        }
        if left.saturating_sub(self.stale_for) < ttl.mul_f64(self.early * chance) {
            return Age::Ripe;
        }
        Age::Fresh
    }
}
