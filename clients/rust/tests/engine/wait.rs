//! Conditions that engines reach in their own time.

use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// Asks until there is an answer; fails the test, naming what it waited for, when there is none in time.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
