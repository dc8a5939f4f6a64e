//! One client, and all that a service does with it.

use std::fmt;
use std::sync::Arc;

use crate::binding::Source;
use crate::cache::Cache;
use crate::command::Command;
use crate::connection::{Connection, Repeat};
use crate::contract::Contract;
use crate::error::Result;
use crate::events::EventBus;
use crate::locks::Locks;
use crate::metrics::{Metrics, NoMetrics};
use crate::settings::Settings;

/// Cache, events and locks of a service, as its binding grants them. One for a process is enough; it is cheap to clone, and clones share
/// their connections.
///
/// Nothing is connected before the first call. What changes in a mounted binding (password, authority, address, contract) is in use
/// within [`Settings::reload_every`]; no call fails for it.
#[derive(Clone)]
pub struct CacheBus {
    connection: Connection,
    cache: Cache,
    events: EventBus,
}

impl CacheBus {
    /// A client by the binding of this process ([`Source::discover`]), with [`Settings::from_environment`].
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn discover() -> Result<Self> {
        Self::builder(Source::discover()?).open()
    }

    /// A client by this binding, with [`Settings::from_environment`].
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn open(source: Source) -> Result<Self> {
        Self::builder(source).open()
    }

    /// A client of which more is to be said.
    pub fn builder(source: Source) -> Builder {
        Builder {
            source,
            settings: Settings::from_environment(),
            metrics: Arc::new(NoMetrics),
        }
    }

    /// What the service may do, as its binding says it now.
    pub fn contract(&self) -> Arc<Contract> {
        self.connection.contract()
    }

    /// Whether the primary answers: `PING`, repeated within the deadline.
    pub async fn ping(&self) -> Result<()> {
        let _: String = self
            .connection
            .call(Command::new("PING"), Repeat::Safe)
            .await?;
        Ok(())
    }

    /// The keyspaces of the contract.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The channels of the contract.
    pub fn events(&self) -> &EventBus {
        &self.events
    }

    /// The locks of a keyspace; [`Error::Contract`](crate::Error::Contract) where the contract has none of that name, or it holds
    /// values.
    pub fn locks(&self, keyspace: &str) -> Result<Locks> {
        Locks::new(self.connection.clone(), keyspace)
    }
}

impl fmt::Debug for CacheBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBus")
            .field("service", &self.contract().service)
            .finish_non_exhaustive()
    }
}

/// What is said of a client before it is opened; from [`CacheBus::builder`].
#[must_use]
pub struct Builder {
    source: Source,
    settings: Settings,
    metrics: Arc<dyn Metrics>,
}

impl Builder {
    /// Other settings than those of the environment.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Where calls and events are counted.
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Reads the binding, and follows it from now on.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn open(self) -> Result<CacheBus> {
        let connection = Connection::open(self.source, self.settings)?;
        Ok(CacheBus {
            cache: Cache::new(connection.clone(), Arc::clone(&self.metrics)),
            events: EventBus::new(connection.clone(), self.metrics),
            connection,
        })
    }
}
