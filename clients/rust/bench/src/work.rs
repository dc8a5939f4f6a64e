//! What all contenders store and ask for.

use anyhow::Context as _;
use cachebus::{CacheBus, Keyspace};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};

/// The keyspace of `clients/bench.yaml`.
pub const KEYSPACE: &str = "agent";
/// Seconds that its values live.
pub const TTL: u64 = 3600;
/// Values that are there while reads are measured.
pub const VALUES: u64 = 10_000;

/// Ids begin here, so that all have as many digits as those that the engine's own benchmark draws, after a 1.
pub const FIRST_ID: u64 = 1_000_000_000_000;
/// The same after a 2, for what the engine's own benchmark overwrites.
pub const FIRST_ID_OF_ENGINE: u64 = 2_000_000_000_000;

/// A value: about 300 bytes of JSON, with padding by choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    id: u64,
    name: String,
    model: String,
    state: String,
    tags: Vec<String>,
    instructions: String,
}

impl Agent {
    /// The value of this id.
    pub fn new(id: u64) -> Self {
        Self::padded(id, 155)
    }

    /// The value with instructions of so many bytes.
    pub fn padded(id: u64, bytes: usize) -> Self {
        Self {
            id,
            name: format!("agent {id}"),
            model: "large-2026-05".to_owned(),
            state: "idle".to_owned(),
            tags: ["search", "billing", "internal"].map(str::to_owned).into(),
            instructions: "x".repeat(bytes),
        }
    }
}

/// The keyspace, with a value for every id that reads ask for.
pub async fn filled(bus: &CacheBus) -> anyhow::Result<Keyspace<Agent>> {
    let agents = bus.cache().keyspace::<Agent>(KEYSPACE)?;
    for first in [FIRST_ID, FIRST_ID_OF_ENGINE] {
        let values: Vec<(u64, Agent)> = (first..first + VALUES)
            .map(|id| (id, Agent::new(id)))
            .collect();
        agents
            .mset(values.iter().map(|(id, agent)| (*id, agent)))
            .await?;
    }
    Ok(agents)
}

/// The keyspace's key, for whoever has to make it himself.
pub fn key(id: u64) -> String {
    format!("{KEYSPACE}:{id}")
}

/// Draws ids of values that are there. Each loop has its own, and the same whoever's turn it is.
#[derive(Debug)]
pub struct Ids(fastrand::Rng);

impl Ids {
    /// For the loop of this number.
    pub fn of_loop(number: usize) -> Self {
        Self(fastrand::Rng::with_seed(
            u64::try_from(number).unwrap_or_default(),
        ))
    }

    /// The next one.
    pub fn draw(&mut self) -> u64 {
        FIRST_ID + self.0.u64(..VALUES)
    }
}

/// The value, which has to be there.
pub fn there<T>(value: Option<T>) -> anyhow::Result<T> {
    value.context("a value is not there")
}

/// A value read by hand: what any service does that has the plain client.
pub async fn read_by_hand(
    connection: &mut MultiplexedConnection,
    id: u64,
) -> anyhow::Result<Option<Agent>> {
    let stored: Option<Vec<u8>> = redis::cmd("GET")
        .arg(key(id))
        .query_async(connection)
        .await?;
    Ok(stored
        .map(|stored| serde_json::from_slice(&stored))
        .transpose()?)
}

/// A value stored by hand.
pub async fn store_by_hand(
    connection: &mut MultiplexedConnection,
    id: u64,
    agent: &Agent,
) -> anyhow::Result<()> {
    redis::cmd("SET")
        .arg(key(id))
        .arg(serde_json::to_vec(agent)?)
        .arg("EX")
        .arg(TTL)
        .exec_async(connection)
        .await?;
    Ok(())
}

/// Removes keys, whoever's they are.
pub async fn remove(
    admin: &mut MultiplexedConnection,
    keys: &[impl redis::ToRedisArgs],
) -> anyhow::Result<()> {
    redis::cmd("UNLINK").arg(keys).exec_async(admin).await?;
    Ok(())
}

/// Removes all values.
pub async fn remove_values(bus: &CacheBus, ids: impl Iterator<Item = u64>) -> anyhow::Result<()> {
    let agents = bus.cache().keyspace::<Agent>(KEYSPACE)?;
    agents.delete_many(ids).await?;
    Ok(())
}
