//! Reads an agent through the cache. `CACHEBUS_BINDING` names the folder of the mounted binding.

use cachebus::CacheBus;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Agent {
    id: u64,
    name: String,
}

/// What a service asks its database.
#[expect(clippy::unused_async, reason = "a database is waited for")]
async fn agent(id: u64) -> Result<Option<Agent>, std::io::Error> {
    tracing::info!(id, "the database is asked");
    let name = format!("agent {id}");
    Ok(Some(Agent { id, name }))
}

#[tokio::main]
async fn main() -> Result<(), cachebus::Error> {
    tracing_subscriber::fmt().init();
    let bus = CacheBus::discover()?;
    let agents = bus.cache().keyspace::<Agent>("agent")?.ttl_jitter(0.1);
    for _ in 0..3 {
        let found = agents.get_or_load(7, || agent(7)).await?;
        tracing::info!(?found);
    }
    agents.delete(7).await?;
    Ok(())
}
