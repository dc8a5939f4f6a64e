//! Cache, event bus and locks of a `CacheBus`, in a few lines and from one Secret.
//!
//! ```no_run
//! # #[derive(Clone, serde::Serialize, serde::Deserialize)]
//! # struct Agent { name: String }
//! # struct Database;
//! # impl Database {
//! #     async fn agent(&self, _: u64) -> Result<Option<Agent>, std::io::Error> { Ok(None) }
//! #     async fn rename(&self, _: u64, _: &str) -> Result<(), std::io::Error> { Ok(()) }
//! # }
//! # async fn example(database: Database) -> Result<(), Box<dyn std::error::Error>> {
//! use cachebus::CacheBus;
//! use serde_json::json;
//!
//! let bus = CacheBus::discover()?; // by $CACHEBUS_BINDING or $SERVICE_BINDING_ROOT
//! let agents = bus.cache().keyspace::<Agent>("agent")?; // of the contract: key agent:{id}, TTL 1 h
//!
//! let agent = agents.get_or_load(7, || database.agent(7)).await?;
//!
//! database.rename(7, "new").await?;
//! let event = bus.events().event("agent:updated", &json!({"id": 7}))?;
//! bus.events().invalidate(&agents, [7], &event).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`CacheBus`]: one client for a process, from a [`Source`] of a [`Binding`].
//! - [`Keyspace`]: typed values of the contract.
//! - [`EventBus`]: [`emit`](EventBus::emit), [`subscribe`](EventBus::subscribe), [`Consumer`], [`DeadLetters`], replay.
//! - `Outbox`, with feature `outbox`: events written in a transaction of PostgreSQL.
//! - [`Locks`]: with a [`Fence`] that rises with each holder.
//! - [`Error`]: typed by what the caller can do about it.
//! - [`Metrics`], ready-made with feature `prometheus`, and spans of `tracing` for each emission and each handler.
//!
//! All of it runs on Tokio. Calls are cancelled by dropping them: what was sent may still be done.

mod binding;
mod bus;
mod cache;
mod calls;
mod command;
mod connection;
mod contract;
mod encoding;
mod error;
mod event;
mod events;
mod keys;
mod locks;
mod metrics;
mod pauses;
mod settings;

pub use binding::{Address, Binding, Source};
pub use bus::{Builder, CacheBus};
pub use cache::{Cache, Keyspace};
pub use contract::{ChannelSpec, Confirm, Contract, KeyspaceSpec};
pub use encoding::{DEFAULT_MAX_BYTES, Encoding, MAX_DECODED_BYTES, decode};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, MAX_ENVELOPE_BYTES};
pub use events::{
    Backlog, Bound, Consumer, ConsumerOptions, DeadLetter, DeadLetters, Emitted, EventBus, Outcome,
    Redriven, Start, Stopper, Subscription,
};
#[cfg(feature = "outbox")]
pub use events::{Outbox, OutboxBacklog, OutboxError, Relay, RelayOptions};
pub use keys::{MAX_KEY_BYTES, Part, Parts, Template};
pub use locks::{Fence, Lock, Locks};
#[cfg(feature = "prometheus")]
pub use metrics::PrometheusMetrics;
pub use metrics::{EventFailure, Metrics, NoMetrics};
pub use settings::Settings;
