//! Waiting for what another process brings about and does not announce.

use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(250);

/// Asks until `condition` holds; whether it did within `limit`.
pub fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if started.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(INTERVAL);
    }
}
