//! The cache of a service.

mod claims;
mod consistency;
mod flights;
mod freshness;
mod keyspace;
mod loading;
mod near;
mod scanning;
#[cfg(feature = "macros")]
mod shared;
mod turns;
mod values;
#[cfg(test)]
mod vectors;
mod warming;

use std::sync::Arc;

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::metrics::Metrics;

pub use consistency::{Checking, Consistency};
pub use keyspace::Keyspace;
pub use near::Near;
pub use warming::{Entry, Warmed, Warming};

/// The keyspaces that the contract grants; from [`CacheBus::cache`](crate::CacheBus::cache).
#[derive(Clone)]
pub struct Cache {
    connection: Connection,
    metrics: Arc<dyn Metrics>,
    #[cfg(feature = "macros")]
    shared: Arc<shared::Shared>,
}

impl Cache {
    pub(crate) fn new(connection: Connection, metrics: Arc<dyn Metrics>) -> Self {
        Self {
            connection,
            metrics,
            #[cfg(feature = "macros")]
            shared: Arc::default(),
        }
    }

    /// A keyspace of values of this type; [`Error::Contract`] where the contract has none of that name, or only locks. Ask when the
    /// service starts: what is wrong shows then.
    pub fn keyspace<V>(&self, name: &str) -> Result<Keyspace<V>> {
        if self.connection.contract().keyspace(name)?.lock {
            return Err(Error::Contract(format!("{name} holds locks, not values")));
        }
        Ok(Keyspace::new(
            name,
            self.connection.clone(),
            Arc::clone(&self.metrics),
        ))
    }

    /// The keyspace of this name and type that all functions with the attribute `cached` share, and so its loads.
    #[cfg(feature = "macros")]
    #[doc(hidden)]
    pub fn shared<V: Send + Sync + 'static>(&self, name: &str) -> Result<Keyspace<V>> {
        self.shared.keyspace(name, || self.keyspace(name))
    }
}
