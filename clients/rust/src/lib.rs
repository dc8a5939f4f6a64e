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
pub use cache::{Cache, Checking, Consistency, Entry, Keyspace, Near, Warmed, Warming};
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

/// Has an async function read through the cache: its body is the loader of [`Keyspace::get_or_load`]. Feature `macros`.
///
/// ```no_run
/// # struct Database;
/// # impl Database {
/// #     async fn find<T>(&self, _: u64) -> Result<Option<T>, std::io::Error> { Ok(None) }
/// # }
/// # struct Service { bus: cachebus::CacheBus, database: Database }
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct Agent;
/// use cachebus::cached;
///
/// impl Service {
///     #[cached(keyspace = "agent", bus = self.bus)]
///     async fn agent(&self, id: u64) -> anyhow::Result<Option<Agent>> {
///         Ok(self.database.find(id).await?)
///     }
/// }
/// ```
///
/// - `keyspace`: a name of the contract, together with `bus`, an expression for the [`CacheBus`]; or, without `bus`, an expression for a
///   [`Keyspace`] that has options of its own (`keyspace = self.agents`).
/// - `key`: anything that makes [`Parts`]. Left out: the arguments but `self` and the one that `bus` or `keyspace` is. One of them is the
///   one part of the key; several are parts by their names, and have to be those of the template; none is a key without parts.
/// - `refresh`: loads in the background ([`Keyspace::get_or_refresh`]). Then the function owns what it uses: no references among its
///   arguments, nor `&self`.
///
/// The function returns `Result<Option<T>, E>`, where `E` is made of an [`Error`] and a loader's error is an `E`: `anyhow::Error`, or one
/// of the service's own with `From<cachebus::Error>`. A failure of the body comes back as [`Error::LoadFailed`] with the error that it
/// returned as its source, for callers that asked at the same time share it. Calls by the same name and type share one load.
///
/// What cannot be cached does not compile:
///
/// ```compile_fail
/// #[cachebus::cached(keyspace = "agent", bus = bus)]
/// fn agent(bus: &cachebus::CacheBus, id: u64) -> cachebus::Result<Option<String>> {
///     Ok(None) // no async fn
/// }
/// ```
///
/// ```compile_fail
/// #[cachebus::cached(keyspace = "agent", bus = bus)]
/// async fn agent(bus: &cachebus::CacheBus, id: u64) -> cachebus::Result<String> {
///     Ok(String::new()) // no Option
/// }
/// ```
///
/// ```compile_fail
/// #[cachebus::cached(keyspace = "agent")]
/// async fn agent(id: u64) -> cachebus::Result<Option<String>> {
///     Ok(None) // of which bus?
/// }
/// ```
///
/// ```compile_fail
/// #[cachebus::cached(keyspace = agents, key = id, refresh)]
/// async fn agent(agents: cachebus::Keyspace<String>, id: u64, name: &str) -> cachebus::Result<Option<String>> {
///     Ok(Some(name.to_owned())) // borrowed by a load that may outlive the call
/// }
/// ```
#[cfg(feature = "macros")]
pub use cachebus_macros::cached;
