//! When a server that ended on its own is started again, and when no more.

use std::time::Duration;
use tokio::time::Instant;

/// Within this time crashes belong together.
const WINDOW: Duration = Duration::from_mins(10);
/// As many crashes within [`WINDOW`] as make another start pointless.
const MOST: usize = 6;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The server's ends that nobody asked for.
#[derive(Debug, Default)]
pub(crate) struct CrashLog {
    /// Those within [`WINDOW`]: fewer than [`MOST`], or there is no next one.
    recent: Vec<Instant>,
    /// Crashes since the last quiet [`WINDOW`], after the first.
    repeated: u32,
    total: u64,
}

/// What follows from a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start again at this time.
    StartAt(Instant),
    /// It crashed this often within ten minutes: leave it to kubelet, where people look.
    GiveUp(usize),
}

impl CrashLog {
    /// Enters a crash.
    pub(crate) fn record(&mut self, now: Instant) -> Verdict {
        self.total += 1;
        self.recent
            .retain(|crash| now.duration_since(*crash) < WINDOW);
        self.repeated = if self.recent.is_empty() {
            0
        } else {
            self.repeated.saturating_add(1)
        };
        self.recent.push(now);
        if self.recent.len() >= MOST {
            return Verdict::GiveUp(self.recent.len());
        }
        let wait = FIRST_WAIT
            .saturating_mul(2_u32.saturating_pow(self.repeated))
            .min(LONGEST_WAIT);
        Verdict::StartAt(now + wait)
    }

    /// All crashes since the agent started.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(log: &mut CrashLog, start: Instant, gaps: &[u64]) -> Vec<Option<u64>> {
        let mut now = start;
        gaps.iter()
            .map(|gap| {
                now += Duration::from_secs(*gap);
                match log.record(now) {
                    Verdict::StartAt(at) => Some(at.duration_since(now).as_secs()),
                    Verdict::GiveUp(_) => None,
                }
            })
            .collect()
    }

    #[test]
    fn the_wait_doubles_and_the_sixth_crash_in_ten_minutes_is_the_last() {
        let mut log = CrashLog::default();
        assert_eq!(
            waits(&mut log, Instant::now(), &[0, 1, 2, 4, 8, 16]),
            [Some(1), Some(2), Some(4), Some(8), Some(16), None]
        );
        assert_eq!(log.total(), 6);
    }

    #[test]
    fn ten_minutes_without_a_crash_begin_anew() {
        let mut log = CrashLog::default();
        assert_eq!(
            waits(&mut log, Instant::now(), &[0, 5, 5, 600, 5]),
            [Some(1), Some(2), Some(4), Some(1), Some(2)]
        );
    }

    #[test]
    fn slow_crashes_are_never_given_up_and_wait_at_most_thirty_seconds() {
        let mut log = CrashLog::default();
        let gaps = [130; 40];
        let waits = waits(&mut log, Instant::now(), &gaps);
        assert!(waits.iter().all(Option::is_some), "{waits:?}");
        assert_eq!(waits.last(), Some(&Some(30)));
        assert!(log.recent.len() < MOST, "older ones are forgotten");
    }
}
