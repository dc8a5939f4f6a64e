//! Waiting for what another process brings about and does not announce.

use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(250);

/// Asks until `condition` holds; whether it did within `limit`.
pub fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(INTERVAL);
    }
}
