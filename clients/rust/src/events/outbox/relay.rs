//! Emits what an outbox holds.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Row, Socket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::table::Table;
use super::{Outbox, OutboxError};
use crate::error::Error;
use crate::event::Event;
use crate::events::{Outcome, Stopper, publisher, spans};
use crate::metrics::EventFailure;
use crate::pauses::Pauses;

/// A transaction ends with the event that is being emitted after so long, however many it has left.
const LONGEST_ROUND: Duration = Duration::from_secs(10);

/// How long the database is waited for where its configuration does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(30);

/// How a relay works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayOptions {
    /// Events of one transaction. Default 100.
    pub batch: u32,
    /// How often it looks without being woken. Default 1 s.
    pub poll_every: Duration,
    /// How often the metrics are told what waits. Default 15 s.
    pub measure_every: Duration,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            batch: 100,
            poll_every: Duration::from_secs(1),
            measure_every: Duration::from_secs(15),
        }
    }
}

/// Emits what an outbox holds; from [`Outbox::relay`].
///
/// Run one in each of a service's processes: one at a time works, and another goes on where it ends. It reads the events in the order in
/// which they were added, emits them one after the other and removes them when the bus, and with `durability: Quorum` enough of its
/// copies, has them. Where it ends between the two an event is emitted again, and told from the first by its id within five minutes.
///
/// One that is frozen loses its turn to another after 30 s with the default [`Settings::deadline`](crate::Settings::deadline).
///
/// While the bus does not take an event those after it wait. One that it can never take, such as one of a channel that the service does
/// not publish any more, is set aside in the table (`refused`) and counted as `refused`, and the others go on. While events are switched
/// off they wait.
#[must_use = "it emits nothing before `run`"]
pub struct Relay<T> {
    outbox: Outbox,
    database: Config,
    tls: T,
    options: RelayOptions,
    stopped: CancellationToken,
}

/// How a transaction went.
enum Round {
    /// There may be more.
    Full,
    /// There is no more, or it is another's to emit.
    Empty,
    /// The bus did not take one.
    Held(Error),
    /// Events are switched off.
    SwitchedOff,
}

impl<T> Relay<T>
where
    T: MakeTlsConnect<Socket> + Clone,
    T::Stream: Send + 'static,
{
    pub(super) fn new(outbox: Outbox, mut database: Config, tls: T) -> Self {
        if database.get_connect_timeout().is_none() {
            database.connect_timeout(CONNECT_TIMEOUT);
        }
        // A database that is gone without a word is found out by what is sent to it, which is something every `poll_every`.
        if database.get_tcp_user_timeout().is_none() {
            database.tcp_user_timeout(SILENCE);
        }
        Self {
            outbox,
            database,
            tls,
            options: RelayOptions::default(),
            stopped: CancellationToken::new(),
        }
    }

    /// How it works.
    pub fn options(mut self, options: RelayOptions) -> Self {
        self.options = options;
        self
    }

    /// Ends [`Relay::run`] from elsewhere, after the event that is being emitted.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stopped.clone())
    }

    /// Emits until it is stopped. A bus or a database that is away is waited for; what waiting does not mend, such as a table that does not
    /// exist, is returned.
    pub async fn run(self) -> Result<(), OutboxError> {
        let mut pauses = Pauses::while_away();
        while !self.stopped.is_cancelled() {
            let error = match self.connected(&mut pauses).await {
                Ok(()) => continue,
                Err(error) => error,
            };
            if !error.is_retryable() {
                return Err(error);
            }
            tracing::warn!(%error, "the database of an outbox does not answer, and is asked again");
            pauses.wait(&self.stopped).await;
        }
        Ok(())
    }

    /// Works on one connection, until it is stopped or that ends.
    async fn connected(&self, pauses: &mut Pauses) -> Result<(), OutboxError> {
        let (mut client, mut connection) = self.database.connect(self.tls.clone()).await?;
        let woken = Arc::new(Notify::new());
        let wakes = Arc::clone(&woken);
        let _driven = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if matches!(message, AsyncMessage::Notification(_)) {
                    wakes.notify_one();
                }
            }
            // The next call finds out.
            wakes.notify_one();
        }));
        let idle = 2 * (LONGEST_ROUND + self.outbox.connection.settings().deadline);
        client.batch_execute(&self.outbox.table.begin(idle)).await?;
        let mut next_measure = Instant::now();
        while !self.stopped.is_cancelled() {
            if Instant::now() >= next_measure {
                let backlog = self.outbox.backlog(&client).await?;
                self.outbox.metrics.outbox(&backlog);
                next_measure = Instant::now() + self.options.measure_every;
            }
            match self.round(&mut client).await? {
                Round::Full => *pauses = Pauses::while_away(),
                Round::Empty => {
                    *pauses = Pauses::while_away();
                    self.wait(&woken).await;
                }
                Round::SwitchedOff => self.wait(&woken).await,
                Round::Held(error) => {
                    tracing::warn!(%error, "the bus does not take an event of the outbox, and is asked again");
                    pauses.wait(&self.stopped).await;
                }
            }
        }
        Ok(())
    }

    async fn wait(&self, woken: &Notify) {
        tokio::select! {
            () = self.stopped.cancelled() => {}
            // Either will do.
            _ = timeout(self.options.poll_every, woken.notified()) => {}
        }
    }

    async fn round(&self, client: &mut Client) -> Result<Round, OutboxError> {
        let table = &self.outbox.table;
        let transaction = client.transaction().await?;
        let alone = transaction
            .query_one(Table::lock(), &[&table.wakes()])
            .await?;
        if !alone.get::<_, bool>(0) {
            return Ok(Round::Empty);
        }
        let begun = Instant::now();
        let batch = self.options.batch.max(1);
        let rows = transaction
            .query(&table.next(), &[&i64::from(batch)])
            .await?;
        let mut round = if rows.len() < batch as usize {
            Round::Empty
        } else {
            Round::Full
        };
        let mut emitted: Vec<i64> = Vec::new();
        for row in &rows {
            if self.stopped.is_cancelled() || begun.elapsed() > LONGEST_ROUND {
                round = Round::Full;
                break;
            }
            let position = row.get(0);
            match self.emit(row).await {
                Ok(Outcome::Disabled) => {
                    round = Round::SwitchedOff;
                    break;
                }
                Ok(_) => emitted.push(position),
                // Where nobody knows whether it was done it may be done again: a reader tells it by its id.
                Err(error) if error.is_retryable() || is_unknown(&error) => {
                    round = Round::Held(error);
                    break;
                }
                Err(error) => {
                    self.outbox
                        .metrics
                        .event_error(row.get(1), EventFailure::Refused, 1);
                    let kind = error.kind().to_string();
                    transaction
                        .execute(&table.refuse(), &[&position, &kind])
                        .await?;
                    tracing::error!(position, %error, "an event of the outbox is set aside");
                }
            }
        }
        transaction.execute(&table.remove(), &[&emitted]).await?;
        transaction.commit().await?;
        Ok(round)
    }

    async fn emit(&self, row: &Row) -> Result<Outcome, Error> {
        let Outbox {
            connection,
            metrics,
            ..
        } = &self.outbox;
        let envelope: &str = row.get(2);
        let event = Event::decode(envelope.as_bytes())?;
        let emit = publisher::emit(connection, &**metrics, &event);
        Ok(spans::emitting(&event, emit).await?.outcome)
    }
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::OutcomeUnknown { .. })
}
