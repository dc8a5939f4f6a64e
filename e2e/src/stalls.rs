//! Whether this machine kept its processes waiting. Servers that are not answered in time defend themselves, so what is seen while
//! that lasts tells nothing of a bus at rest.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// One look at the machine.
const LOOK: Duration = Duration::from_millis(500);

/// A process that waits longer for its turn was kept waiting.
const LATE: Duration = Duration::from_millis(500);

/// The host that has taken more of one processor's time between two looks has kept somebody waiting.
const STOLEN: Duration = Duration::from_millis(250);

/// Looks at the machine until it is dropped.
pub struct Stalls {
    number: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    looking: Option<JoinHandle<()>>,
}

impl Stalls {
    /// Begins to look.
    pub fn watch() -> anyhow::Result<Self> {
        let (number, ended) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut before = stolen()?;
        let looking = std::thread::spawn({
            let (number, ended) = (Arc::clone(&number), Arc::clone(&ended));
            move || {
                while !ended.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    std::thread::sleep(LOOK);
                    let late = begun.elapsed().saturating_sub(LOOK);
                    let now = stolen().unwrap_or(before);
                    if late > LATE || now.saturating_sub(before) > STOLEN {
                        number.fetch_add(1, Ordering::Relaxed);
                    }
                    before = now;
                }
            }
        });
        Ok(Self {
            number,
            ended,
            looking: Some(looking),
        })
    }

    /// How many looks so far found somebody kept waiting.
    pub fn seen(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(looking) = self.looking.take() {
            let _ = looking.join();
        }
    }
}

/// Time of all processors that the host of this machine, where it has one, has given to others since it began.
fn stolen() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    let hundredths = of_stat(&stat).context("no stolen time in /proc/stat")?;
    Ok(Duration::from_millis(hundredths * 10))
}

/// The eighth figure of the line for all processors, in hundredths of a second.
fn of_stat(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    line.split_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn stolen_time_is_that_of_all_processors() {
        let stat = "cpu  694 138 250 355 17 0 29 47 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        assert_eq!(of_stat(stat), Some(47));
        assert_eq!(of_stat("intr 1 2\n"), None);
        stolen().unwrap();
    }
}
