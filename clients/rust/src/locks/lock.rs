//! One lock while it is held.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Fence;
use crate::calls;
use crate::connection::{Connection, Repeat};
use crate::error::{Error, Result};

/// A lock that is held, and kept alive until it is released or dropped; from [`Locks::lock`](super::Locks::lock).
///
/// Dropped, it is released in the background, as far as a Tokio runtime is there to do it; else it runs out.
#[must_use = "a lock that is dropped is released"]
pub struct Lock {
    held: Arc<Held>,
    fence: Fence,
    keeper: JoinHandle<()>,
    released: bool,
}

struct Held {
    connection: Connection,
    key: String,
    token: String,
    ttl: Duration,
    /// When it runs out, as far as this process knows: counted from before it was asked for.
    until: Mutex<Instant>,
    lost: CancellationToken,
}

impl Lock {
    pub(super) fn keep(
        connection: Connection,
        key: String,
        token: String,
        ttl: Duration,
        fence: Fence,
        until: Instant,
    ) -> Self {
        let held = Arc::new(Held {
            connection,
            key,
            token,
            ttl,
            until: Mutex::new(until),
            lost: CancellationToken::new(),
        });
        Self {
            keeper: tokio::spawn(keep_alive(Arc::clone(&held))),
            held,
            fence,
            released: false,
        }
    }

    /// The number of this holder.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// Whether it is held for all that this process can know.
    pub fn is_held(&self) -> bool {
        !self.held.lost.is_cancelled() && Instant::now() < self.held.until()
    }

    /// [`Error::LockLost`] where it is not held any more.
    pub fn check(&self) -> Result<()> {
        if self.is_held() {
            Ok(())
        } else {
            Err(Error::LockLost)
        }
    }

    /// Waits until it is known to be lost. To be raced with the work that it guards.
    pub async fn lost(&self) {
        self.held.lost.cancelled().await;
    }

    /// Gives it up; `false` where it was not held any more. Another's lock is never released.
    pub async fn release(mut self) -> Result<bool> {
        self.keeper.abort();
        let held = Arc::clone(&self.held);
        let released = held.unlock().await;
        // Where it could not be said whether it is, dropping it tries once more.
        self.released = released.is_ok();
        released
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.keeper.abort();
        if self.released || self.held.lost.is_cancelled() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let held = Arc::clone(&self.held);
            runtime.spawn(async move {
                if let Err(error) = held.unlock().await {
                    tracing::warn!(%error, "a lock could not be released and will run out");
                }
            });
        }
    }
}

impl Held {
    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn unlock(&self) -> Result<bool> {
        let unlock = calls::unlock(&self.key, &self.token);
        self.connection.call(unlock, Repeat::Safe).await
    }

    /// Whether it is held for another `ttl`.
    async fn extend(&self) -> Result<bool> {
        let asked = Instant::now();
        let extend = calls::extend(&self.key, &self.token, self.ttl);
        let extended = self.connection.call(extend, Repeat::Safe).await?;
        if extended {
            *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked + self.ttl;
        }
        Ok(extended)
    }
}

/// Lengthens the lock in time; ends when it is lost.
async fn keep_alive(held: Arc<Held>) {
    let mut pause = held.ttl / 3;
    loop {
        let until = held.until();
        sleep_until(until.min(Instant::now() + pause)).await;
        pause = match timeout_at(until, held.extend()).await {
            Ok(Ok(true)) => held.ttl / 3,
            Ok(Err(error)) if Instant::now() < until => {
                tracing::warn!(%error, "a lock could not be extended yet");
                held.ttl / 10
            }
            Ok(_) | Err(_) => break,
        };
    }
    tracing::warn!("a lock was lost");
    held.lost.cancel();
}
