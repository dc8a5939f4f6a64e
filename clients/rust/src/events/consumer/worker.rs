//! What becomes of one entry after the other.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::acknowledgments::Acknowledgments;
use super::lanes::Lanes;
use super::{Handler, Tally};
use crate::error::Result;
use crate::event::Event;
use crate::events::entry::Entry;
use crate::events::group::Group;
use crate::events::spans;
use crate::metrics::EventFailure;
use crate::pauses::Pauses;

/// Does the lanes' work until it is stopped.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) group: Arc<Group>,
    pub(super) lanes: Arc<Lanes>,
    pub(super) handlers: Arc<[Handler]>,
    pub(super) acknowledgments: Arc<Acknowledgments>,
    pub(super) tally: Arc<Tally>,
    pub(super) stopped: CancellationToken,
}

/// How far an entry came.
enum Outcome {
    Acknowledged,
    /// It was stopped before its handler succeeded or used up its attempts, or nobody took the acknowledgment.
    Left,
}

impl Worker {
    /// What waiting does not mend is its error, and stops the others.
    pub(super) async fn run(self) -> Result<()> {
        let worked = self.work().await;
        if worked.is_err() {
            self.stopped.cancel();
        }
        worked
    }

    async fn work(&self) -> Result<()> {
        loop {
            let mut work = tokio::select! {
                biased;
                () = self.stopped.cancelled() => return Ok(()),
                work = self.lanes.take() => work,
            };
            let event = work.event.take();
            match self.handle(&work.entry, event).await? {
                Outcome::Acknowledged => self.lanes.done(&work),
                Outcome::Left => return Ok(()),
            }
        }
    }

    async fn handle(&self, entry: &Entry, event: Option<Event>) -> Result<Outcome> {
        if !self.group.switched_on(&self.stopped).await {
            return Ok(Outcome::Left);
        }
        if entry.deliveries == 0 {
            // Acknowledged since it was handed out.
            return Ok(Outcome::Acknowledged);
        }
        if entry.is_gone() {
            let acknowledged = self.acknowledge(entry).await?;
            self.tally.lost(entry.channel, 1);
            return Ok(acknowledged);
        }
        let Some(event) = event else {
            return self.bury(entry, "invalid").await;
        };
        if entry.deliveries > self.group.options().max_deliveries {
            return self.bury(entry, "deliveries").await;
        }
        match self.tried(entry, event).await {
            Some(Ok(())) => {
                let acknowledged = self.acknowledge(entry).await?;
                self.tally.consumed(entry.channel);
                Ok(acknowledged)
            }
            Some(Err(failure)) => self.bury(entry, failure).await,
            None => Ok(Outcome::Left),
        }
    }

    /// Has the event handled; the last failure where none of the attempts worked, `None` where it was stopped between them.
    async fn tried(&self, entry: &Entry, event: Event) -> Option<Result<(), &'static str>> {
        let channel = entry.channel;
        let mut first = Some(event);
        let options = self.group.options();
        let mut pauses = Pauses::new(options.backoff, options.longest_backoff);
        for attempt in 1.. {
            // It is read again for each further attempt: hardly any event needs one.
            let event = first.take().or_else(|| entry.event())?;
            let span = spans::handling(&event, self.group.name());
            let begun = Instant::now();
            let handled = self.handlers[channel](event).instrument(span.clone()).await;
            self.tally.processed(channel, begun.elapsed());
            let Err(failure) = handled else {
                break;
            };
            spans::failed(&span, failure);
            self.tally.failed(channel, EventFailure::Handler, 1);
            tracing::warn!(
                channel = self.group.channel(channel),
                event = %entry.raw.event_id(),
                failure,
                "a handler failed"
            );
            if attempt >= options.attempts {
                return Some(Err(failure));
            }
            pauses.wait(&self.stopped).await;
            if self.stopped.is_cancelled() || !self.group.switched_on(&self.stopped).await {
                return None;
            }
        }
        Some(Ok(()))
    }

    async fn acknowledge(&self, entry: &Entry) -> Result<Outcome> {
        self.until_answered(entry, || self.acknowledgments.say(&self.group, entry))
            .await
    }

    async fn bury(&self, entry: &Entry, reason: &str) -> Result<Outcome> {
        let outcome = self
            .until_answered(entry, || self.group.bury(entry, reason))
            .await?;
        if matches!(outcome, Outcome::Acknowledged) {
            self.tally
                .failed(entry.channel, EventFailure::DeadLetter, 1);
            tracing::error!(
                channel = self.group.channel(entry.channel),
                entry = entry.raw.id(),
                reason,
                "an event is a dead letter"
            );
        }
        Ok(outcome)
    }

    /// Says again what nobody answered. Its handler is not run again for that, nor do later events of its key begin.
    async fn until_answered<F>(&self, entry: &Entry, say: impl Fn() -> F) -> Result<Outcome>
    where
        F: Future<Output = Result<()>>,
    {
        let mut pauses = Pauses::while_away();
        loop {
            match say().await {
                Ok(()) => return Ok(Outcome::Acknowledged),
                Err(error) if error.is_retryable() => {
                    self.tally
                        .failed(entry.channel, EventFailure::Connection, 1);
                    tracing::warn!(%error, "the bus does not answer, and is asked again");
                }
                Err(error) => return Err(error),
            }
            if self.stopped.is_cancelled() {
                return Ok(Outcome::Left);
            }
            pauses.wait(&self.stopped).await;
        }
    }
}
