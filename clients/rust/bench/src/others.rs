//! What people would take instead, set up as their documentation says.

use deadpool_redis::{Manager, Pool, Runtime};
use moka::future::Cache;
use redis::Client;
use redis::aio::MultiplexedConnection;

use crate::place::Place;
use crate::work::{Agent, read_by_hand, store_by_hand};

/// `deadpool-redis`: connections that one call has at a time, one for each call.
pub fn deadpool(place: &Place, at_once: usize) -> anyhow::Result<Pool> {
    let client = Client::build_with_tls(place.tls_url(), place.certificates())?;
    // It takes no certificates, but what a client has made of them.
    let manager = Manager::new(client.get_connection_info().clone())?;
    Ok(Pool::builder(manager)
        .max_size(at_once)
        .runtime(Runtime::Tokio1)
        .build()?)
}

/// `moka` before the plain client, as a service would put them together: memory, else the server, else the loader.
#[derive(Clone)]
pub struct Moka {
    held: Cache<u64, Agent>,
    connection: MultiplexedConnection,
}

impl Moka {
    /// Nothing is held yet.
    pub fn new(connection: MultiplexedConnection) -> Self {
        let held = Cache::builder()
            .max_capacity(64 << 20)
            .weigher(|_, _| 512)
            .time_to_live(std::time::Duration::from_secs(30))
            .build();
        Self { held, connection }
    }

    /// The value, or what `load` returns, which is then stored and held.
    pub async fn get_or_load<F>(
        &self,
        id: u64,
        load: impl FnOnce() -> F,
    ) -> anyhow::Result<Option<Agent>>
    where
        F: Future<Output = anyhow::Result<Option<Agent>>>,
    {
        let loaded = self
            .held
            .optionally_get_with(id, async {
                let mut connection = self.connection.clone();
                if let Ok(Some(agent)) = read_by_hand(&mut connection, id).await {
                    return Some(agent);
                }
                let agent = load().await.ok()??;
                // Like ours: a cache that fails is not the caller's concern.
                let _ = store_by_hand(&mut connection, id, &agent).await;
                Some(agent)
            })
            .await;
        Ok(loaded)
    }
}
