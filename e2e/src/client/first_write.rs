//! When a bus takes its first write: tried as fast as a client can, from before it is there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cachebus_e2e::cells::Way;

use crate::binding::Binding;
use crate::connect::connect;
use crate::say::say_json;

/// Pause between attempts: a refused connection would else be a loop that starves the bus's own start.
const PAUSE: Duration = Duration::from_millis(50);

/// Writes until a write is accepted.
pub async fn run(binding: &Binding, key: &str) -> anyhow::Result<()> {
    let mut refused = 0_u64;
    loop {
        match attempt(binding, key).await {
            Ok(()) => {
                let at_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
                return say_json(
                    &serde_json::json!({"acceptedAtMs": at_ms, "refusedBefore": refused}),
                );
            }
            Err(_) => refused += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn attempt(binding: &Binding, key: &str) -> anyhow::Result<()> {
    let mut connection =
        tokio::time::timeout(Duration::from_secs(1), connect(binding, Way::Service)).await??;
    let write = redis::cmd("SET")
        .arg(key)
        .arg("1")
        .arg("EX")
        .arg(60)
        .to_owned();
    tokio::time::timeout(Duration::from_secs(1), write.exec_async(&mut connection)).await??;
    Ok(())
}
