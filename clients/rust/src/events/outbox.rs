//! Events that are written together with what they tell of.

mod relay;
mod table;

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::Type;
use tokio_postgres::{Config, GenericClient, Socket, Transaction};

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::metrics::Metrics;
pub use relay::{Relay, RelayOptions};
use table::Table;

/// Why something of an outbox failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The event cannot be emitted, now or later.
    #[error(transparent)]
    Event(#[from] Error),
    /// The database refused, or is away. Its own error is the `source`.
    #[error("the database: {}", said(.0))]
    Database(#[from] tokio_postgres::Error),
}

impl OutboxError {
    /// Whether the same may work a moment later. It does not where the table is missing or may not be used.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Event(error) => error.is_retryable(),
            // Class 42: syntax error or access rule violation.
            Self::Database(error) => !error
                .code()
                .is_some_and(|state| state.code().starts_with("42")),
        }
    }
}

/// The state that the database names, never its words: they may hold values.
fn said(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("no answer", |state| state.code())
}

/// What an outbox holds; from [`Outbox::backlog`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxBacklog {
    /// Events that are yet to be emitted.
    pub waiting: u64,
    /// How long ago the oldest of them was added; zero where there is none.
    pub age: Duration,
    /// Events that were set aside because they cannot be emitted.
    pub refused: u64,
}

/// A table of PostgreSQL that holds events until they are emitted; from [`EventBus::outbox`](super::EventBus::outbox), with feature
/// `outbox`.
///
/// An event is added within the transaction that makes it true, and emitted by a [`Relay`] after that has committed: both happen or none
/// does, whatever crashes in between.
///
/// ```no_run
/// # use serde_json::json;
/// # async fn example(bus: cachebus::CacheBus, mut database: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = bus.events().outbox("cachebus_outbox")?;
/// database.batch_execute(&outbox.ddl()).await?; // once, with the other migrations
///
/// let transaction = database.transaction().await?;
/// transaction.execute("UPDATE task SET state = 'completed' WHERE id = $1", &[&7_i64]).await?;
/// let event = bus.events().event("task:completed", &json!({"id": 7}))?;
/// outbox.add(&transaction, &event).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Outbox {
    connection: Connection,
    metrics: Arc<dyn Metrics>,
    table: Arc<Table>,
}

impl Outbox {
    pub(super) fn new(
        connection: Connection,
        metrics: Arc<dyn Metrics>,
        table: &str,
    ) -> Result<Self> {
        Ok(Self {
            connection,
            metrics,
            table: Arc::new(Table::named(table)?),
        })
    }

    /// What makes the table, and leaves one that exists as it is. Whoever adds needs `INSERT` on it and `USAGE` on its sequence, the relay
    /// `SELECT`, `UPDATE` and `DELETE`.
    pub fn ddl(&self) -> String {
        self.table.ddl()
    }

    /// Adds an event to the caller's transaction, and wakes relays when that commits. `false` where an event of this id waits already.
    ///
    /// One round trip. [`OutboxError::Event`] where the service does not publish the channel, or it would be no envelope: nothing comes into
    /// the table that could never leave it. A database error ends the transaction, as any does.
    pub async fn add(
        &self,
        transaction: &Transaction<'_>,
        event: &Event,
    ) -> Result<bool, OutboxError> {
        self.connection.contract().published(&event.channel)?;
        let envelope = event.encode()?;
        let added = transaction
            .query_typed_opt(
                &self.table.add(),
                &[
                    (&event.event_id, Type::TEXT),
                    (&event.channel, Type::TEXT),
                    (&envelope, Type::TEXT),
                    (&self.table.wakes(), Type::TEXT),
                ],
            )
            .await?;
        Ok(added.is_some())
    }

    /// What the table holds. It is counted: O(events in the table).
    pub async fn backlog(
        &self,
        database: &impl GenericClient,
    ) -> Result<OutboxBacklog, OutboxError> {
        let row = database.query_one(&self.table.backlog(), &[]).await?;
        let number = |place| row.get::<_, i64>(place).try_into().unwrap_or(0);
        Ok(OutboxBacklog {
            waiting: number(0),
            refused: number(1),
            age: Duration::try_from_secs_f64(row.get(2)).unwrap_or_default(),
        })
    }

    /// Has what was set aside emitted after all, once what kept it from that is mended. Says how many events there were.
    pub async fn retry_refused(&self, database: &impl GenericClient) -> Result<u64, OutboxError> {
        Ok(database.execute(&self.table.retry(), &[]).await?)
    }

    /// What emits the events: at least once each, in the order in which they were added. It connects by itself, through `tls`:
    /// [`NoTls`](tokio_postgres::NoTls), or the application's own. Where the configuration has no timeouts, it waits 5 s for a connection
    /// and 30 s for one that does not answer.
    pub fn relay<T>(&self, database: Config, tls: T) -> Relay<T>
    where
        T: MakeTlsConnect<Socket> + Clone,
        T::Stream: Send + 'static,
    {
        Relay::new(self.clone(), database, tls)
    }
}
