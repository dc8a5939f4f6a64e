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
/// Waits after failed passes, the first and the longest; each is twice as long as the one before.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What the last passes over a bus came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    failures: u32,
    restless: u32,
}

impl Pace {
    /// The wait after a pass that ran to its end. `None`: until the object changes.
    pub fn after(&mut self, next: Next, uid: &str) -> Option<Duration> {
        self.failures = 0;
        if next != Next::Soon {
            self.restless = 0;
        }
        match next {
            Next::Again => Some(AGAIN),
            Next::Soon => {
                self.restless = self.restless.saturating_add(1);
                let late = self.restless.saturating_sub(EAGER);
                Some((SOON + SOON * late / 10).min(SLOWEST))
            }
            Next::Later => Some(spread(LATER, uid)),
            Next::OnChange => None,
        }
    }

    /// The wait after a pass that failed, and how many have failed in a row.
    pub fn after_failure(&mut self) -> (Duration, u32) {
        let (first, longest) = BACKOFF;
        let wait = first
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(longest);
        self.failures = self.failures.saturating_add(1);
        (wait, self.failures)
    }
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

    use super::{BACKOFF, EAGER, LATER, Next, Pace, SLOWEST, SOON, spread};
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
