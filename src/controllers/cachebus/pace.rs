//! How long to wait between passes over a bus, if no event asks for one earlier.

use super::Next;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

const AGAIN: Duration = Duration::from_millis(150);
const SOON: Duration = Duration::from_millis(300);
const LATER: Duration = Duration::from_secs(30);
/// Passes in a row over a moving world that are made as soon as can be, about a minute's worth. After them each is awaited
/// a little longer, up to [`SLOWEST`]: what still moves then is likely to be stuck.
const EAGER: u32 = 200;
const SLOWEST: Duration = Duration::from_secs(5);
/// Passes in a row that began anew after which the store is not believed any more: its watch may have died without a word.
const BELIEVED: u32 = 3;
/// Waits after failed passes, the first and the longest; each is twice as long as the one before.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What the last passes over a bus came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    failures: u32,
    restless: u32,
    again: u32,
}

impl Pace {
    /// The wait after a pass that ran to its end. `None`: until the object changes.
    pub fn after(&mut self, next: Next, uid: &str) -> Option<Duration> {
        match next {
            // Nothing came of it, so that it ends no row of others.
            Next::Again => {
                let wait = doubled(AGAIN, self.again);
                self.again = self.again.saturating_add(1);
                Some(wait)
            }
            Next::Soon => {
                *self = Self {
                    restless: self.restless.saturating_add(1),
                    ..Self::default()
                };
                let late = self.restless.saturating_sub(EAGER);
                Some((SOON + SOON * late / 10).min(SLOWEST))
            }
            Next::Later => {
                *self = Self::default();
                Some(spread(LATER, uid))
            }
            Next::OnChange => {
                *self = Self::default();
                None
            }
        }
    }

    /// Whether the next pass is to read the object itself, since passes on what the store shows of it begin anew time and again.
    pub fn doubts_store(&self) -> bool {
        self.again >= BELIEVED
    }

    /// The wait after a pass that failed, and how many have failed in a row.
    pub fn after_failure(&mut self) -> (Duration, u32) {
        let wait = doubled(BACKOFF.0, self.failures);
        self.failures = self.failures.saturating_add(1);
        (wait, self.failures)
    }
}

/// A wait that doubles with each of those before it.
fn doubled(first: Duration, before: u32) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(before))
        .min(BACKOFF.1)
}

/// A duration up to a tenth shorter or longer, always the same for one bus, so that buses do not come due all at once.
fn spread(duration: Duration, uid: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let percent = 90 + u32::try_from(hasher.finish() % 21).unwrap_or_default();
    duration * percent / 100
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{AGAIN, BACKOFF, BELIEVED, EAGER, LATER, Next, Pace, SLOWEST, SOON, spread};
    use std::collections::BTreeSet;

    #[test]
    fn a_bus_that_never_settles_is_looked_at_less_and_less_often() {
        let mut pace = Pace::default();
        let waits: Vec<_> = (0..EAGER * 3)
            .map(|_| pace.after(Next::Soon, "u").unwrap())
            .collect();
        assert!(waits.is_sorted());
        assert_eq!((waits[0], waits[EAGER as usize - 1]), (SOON, SOON));
        assert_eq!(waits.last(), Some(&SLOWEST));
        pace.after(Next::Later, "u");
        assert_eq!(pace.after(Next::Soon, "u"), Some(SOON));
    }

    #[test]
    fn waits_after_failures_double_up_to_the_longest_and_begin_anew_after_success() {
        let mut pace = Pace::default();
        let waits: Vec<_> = (0..40).map(|_| pace.after_failure().0).collect();
        assert_eq!((waits[0], waits[1]), (BACKOFF.0, BACKOFF.0 * 2));
        assert_eq!(waits.last(), Some(&BACKOFF.1));
        pace.after(Next::Later, "u");
        assert_eq!(pace.after_failure(), (BACKOFF.0, 1));
    }

    #[test]
    fn passes_that_begin_anew_do_so_less_and_less_often_and_soon_read_the_object_itself() {
        let mut pace = Pace::default();
        let mut waits = Vec::new();
        let mut doubts = Vec::new();
        for _ in 0..40 {
            doubts.push(pace.doubts_store());
            waits.push(pace.after(Next::Again, "u").unwrap());
        }
        assert_eq!((waits[0], waits[1]), (AGAIN, AGAIN * 2));
        assert_eq!(waits.last(), Some(&BACKOFF.1));
        assert_eq!(
            doubts.iter().position(|doubt| *doubt),
            Some(BELIEVED as usize)
        );
        pace.after(Next::Later, "u");
        assert!(!pace.doubts_store());
        assert_eq!(pace.after(Next::Again, "u"), Some(AGAIN));
    }

    #[test]
    fn a_pass_that_begins_anew_ends_no_row_of_others() {
        let mut pace = Pace::default();
        pace.after_failure();
        pace.after(Next::Again, "u");
        assert_eq!(pace.after_failure(), (BACKOFF.0 * 2, 2));
    }

    #[test]
    fn buses_come_due_apart_and_each_always_at_the_same_distance() {
        let waits: BTreeSet<_> = (0..20).map(|uid| spread(LATER, &uid.to_string())).collect();
        assert!(waits.len() > 5);
        assert!(
            waits
                .iter()
                .all(|wait| *wait >= LATER * 9 / 10 && *wait <= LATER * 11 / 10)
        );
        assert_eq!(spread(LATER, "u"), spread(LATER, "u"));
    }
}
