//! Works on orders while nobody else does. `CACHEBUS_BINDING` names the folder of the mounted binding of a service that may write the
//! keyspace `lock`.

use std::time::Duration;

use cachebus::{CacheBus, Fence};

/// What a service has its database do: it refuses a lower number than it has seen.
#[expect(clippy::unused_async, reason = "a database is waited for")]
async fn close_orders(fence: Fence) {
    tracing::info!(?fence, "orders are closed");
}

#[tokio::main]
async fn main() -> Result<(), cachebus::Error> {
    tracing_subscriber::fmt().init();
    let bus = CacheBus::discover()?;
    let locks = bus.locks("lock")?;
    let lock = locks.lock_within("orders", Duration::from_secs(5)).await?;
    tokio::select! {
        () = close_orders(lock.fence()) => {}
        () = lock.lost() => tracing::warn!("another may be at it"),
    }
    lock.release().await?;
    Ok(())
}
