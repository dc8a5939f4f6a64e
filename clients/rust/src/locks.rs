//! Locks by which work is not done twice.

mod lock;

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::calls;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::keys::Part;

pub use lock::Lock;

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A number that rises with each holder of a lock: epoch of the primary first, then its counter.
///
/// Hand it to whatever the lock guards, and have that refuse a lower one than it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Fence {
    /// Rises with each failover.
    pub epoch: u64,
    /// Rises with each holder, and with the server's clock (microseconds).
    pub counter: u64,
}

/// The locks of one keyspace of the kind Lock; from [`CacheBus::locks`](crate::CacheBus::locks). Needs the function library.
///
/// They save work; alone they do not guard data. A failover may lose the newest lock, and a paused process does not notice that its lock
/// ran out: what must not happen twice checks the [`Fence`].
///
/// ```no_run
/// # async fn write(fence: cachebus::Fence) {}
/// # async fn example(bus: cachebus::CacheBus) -> cachebus::Result<()> {
/// use std::time::Duration;
///
/// let locks = bus.locks("lock")?;
/// let lock = locks.lock_within("orders", Duration::from_secs(5)).await?;
/// write(lock.fence()).await; // refuses a lower one than it has seen
/// lock.check()?;
/// lock.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Locks {
    connection: Connection,
    keyspace: String,
    ttl: Option<Duration>,
}

impl Locks {
    pub(crate) fn new(connection: Connection, keyspace: &str) -> Result<Self> {
        if !connection.contract().keyspace(keyspace)?.lock {
            return Err(Error::Contract(format!(
                "{keyspace} holds values, not locks"
            )));
        }
        Ok(Self {
            connection,
            keyspace: keyspace.to_owned(),
            ttl: None,
        })
    }

    /// How long a lock outlives a holder that died, in place of the contract's time: 1 ms to 24 h.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl.max(Duration::from_millis(1)));
        self
    }

    /// The lock of a resource; [`Error::LockBusy`] where another holds it. One round trip.
    pub async fn lock(&self, resource: impl Into<Part>) -> Result<Lock> {
        self.lock_within(resource, Duration::ZERO).await
    }

    /// The same, and waits for another holder for so long. Asks 4 to 100 times a second, in no order among those who wait.
    pub async fn lock_within(&self, resource: impl Into<Part>, wait: Duration) -> Result<Lock> {
        let contract = self.connection.contract();
        let spec = contract.keyspace(&self.keyspace)?;
        let key = spec.template.key(resource.into())?;
        let ttl = self.ttl.unwrap_or(spec.ttl);
        let token = Uuid::new_v4().simple().to_string();
        let until = Instant::now() + wait;
        loop {
            let asked = Instant::now();
            let (held, epoch, counter, left): (bool, u64, u64, i64) = self
                .connection
                .call_with_epoch(|epoch| calls::lock(&key, &token, ttl, epoch))
                .await?;
            if held {
                let fence = Fence { epoch, counter };
                let connection = self.connection.clone();
                return Ok(Lock::keep(connection, key, token, ttl, fence, asked + ttl));
            }
            let left = Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX));
            let pause = left
                .clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
                .mul_f64(0.5 + 0.5 * fastrand::f64());
            if Instant::now() + pause >= until {
                return Err(Error::LockBusy);
            }
            tokio::time::sleep(pause).await;
        }
    }
}
