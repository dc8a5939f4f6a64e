//! Pauses that grow.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Pauses of which each is twice as long as the one before, about.
pub(crate) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            next: first,
            longest,
        }
    }

    /// For a bus that does not answer.
    pub(crate) fn while_away() -> Self {
        Self::new(FIRST, LONGEST)
    }

    /// Returns sooner where it is stopped.
    pub(crate) async fn wait(&mut self, stopped: &CancellationToken) {
        let pause = self.next.mul_f64(0.5 + 0.5 * fastrand::f64());
        self.next = (self.next * 2).min(self.longest);
        // Either will do.
        let _ = timeout(pause, stopped.cancelled()).await;
    }
}
