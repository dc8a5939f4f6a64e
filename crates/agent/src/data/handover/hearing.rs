//! Hearing everybody, and not waiting for those who are silent.

use cachebus_core::handover::Limits;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

/// Takes each answer as it comes. `take` says whether what has come is enough: then the others have until the grace has passed
/// since `begun`; without it, until nobody is waited for any more.
pub(super) async fn hear<F: Future>(
    mut asked: FuturesUnordered<F>,
    begun: Instant,
    limits: Limits,
    mut take: impl FnMut(F::Output) -> bool,
) {
    let mut patience = limits.answer;
    while let Ok(Some(answer)) = timeout_at(begun + patience, asked.next()).await {
        patience = if take(answer) {
            limits.grace
        } else {
            limits.answer
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use futures::future::{BoxFuture, pending};
    use std::time::Duration;
    use tokio::time::sleep;

    /// How long all are waited for who answer after so long, or never, when so many are enough.
    async fn waited(answers: &[Option<Duration>], enough: usize, limits: Limits) -> Duration {
        let asked = answers.iter().map(|after| -> BoxFuture<'_, ()> {
            match after {
                Some(after) => sleep(*after).boxed(),
                None => pending().boxed(),
            }
        });
        let (begun, mut heard) = (Instant::now(), 0);
        hear(asked.collect(), begun, limits, |()| {
            heard += 1;
            heard >= enough
        })
        .await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_dark_node_costs_the_grace_and_no_more() {
        for down_after in [1, 5] {
            let limits = Limits::of(Duration::from_secs(down_after));
            let soon = Some(Duration::from_millis(5));
            let late = Some(limits.grace + Duration::from_millis(5));
            let at_last = Duration::from_millis(1);
            let waited = |answers: Vec<_>| async move { waited(&answers, 2, limits).await };
            assert!(waited(vec![soon, soon, soon]).await <= limits.grace / 2);
            let dark = waited(vec![soon, soon, None]).await;
            assert!(dark >= limits.grace && dark <= limits.grace + at_last);
            let slow = waited(vec![soon, late, None]).await;
            assert!(slow > limits.grace && slow < limits.grace * 2, "{slow:?}");
            let alone = waited(vec![soon, None, None]).await;
            assert!(alone >= limits.answer && alone <= limits.answer + at_last);
        }
    }
}
