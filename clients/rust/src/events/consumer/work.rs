//! What a consumer does until it is stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Handler;
use super::held::Held;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::events::streams::{Entry, Streams};
use crate::events::{ConsumerOptions, Start};
use crate::metrics::{EventFailure, Metrics};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where a look through all pending entries begins, and has ended.
const FROM_THE_BEGINNING: &str = "0-0";

pub(super) struct Work {
    streams: Streams,
    handlers: Vec<Handler>,
    options: ConsumerOptions,
    metrics: Arc<dyn Metrics>,
    stopped: CancellationToken,
    held: Held,
    /// The groups existed once: where one is missing, it was lost.
    begun: bool,
    next_claim: Instant,
    cursors: Vec<String>,
}

impl Work {
    pub(super) fn new(
        streams: Streams,
        handlers: Vec<Handler>,
        options: ConsumerOptions,
        metrics: Arc<dyn Metrics>,
        stopped: CancellationToken,
    ) -> Self {
        Self {
            held: Held::keep(streams.holder(), options.claim_after / 3),
            cursors: vec![FROM_THE_BEGINNING.to_owned(); handlers.len()],
            streams,
            handlers,
            options,
            metrics,
            stopped,
            begun: false,
            next_claim: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) -> Result<()> {
        let mut pause = FIRST_PAUSE;
        while !self.stopped.is_cancelled() {
            let prepared = self.prepare().await;
            if prepared.is_ok() {
                pause = FIRST_PAUSE;
            }
            let worked = match prepared {
                Ok(()) => self.work().await,
                Err(error) => Err(error),
            };
            self.held.let_go();
            match worked {
                Ok(()) => {}
                Err(Error::GroupMissing { .. }) => self.streams.disconnect(),
                Err(error) if error.is_retryable() => {
                    self.wait(&error, pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn prepare(&mut self) -> Result<()> {
        let start = if self.begun {
            // What its stream holds is new to a group that was lost.
            Start::Earliest
        } else {
            self.options.start
        };
        let made = self.streams.make_groups(start).await?;
        if self.begun {
            for channel in made {
                self.count(channel, EventFailure::GroupLost, 1);
                let channel = self.channel(channel);
                tracing::error!(
                    channel,
                    "the stream or its consumer group was lost: events may be missing"
                );
            }
        }
        self.begun = true;
        for channel in 0..self.streams.channels().len() {
            self.finish(channel).await?;
        }
        Ok(())
    }

    /// Handles what was handed out to this consumer and is not done with.
    async fn finish(&mut self, channel: usize) -> Result<()> {
        let mut after = "0".to_owned();
        while !self.stopped.is_cancelled() {
            let entries = self.streams.unfinished(channel, &after).await?;
            let Some(last) = entries.last() else {
                break;
            };
            last.raw.id().clone_into(&mut after);
            self.handle_all(entries).await?;
        }
        Ok(())
    }

    async fn work(&mut self) -> Result<()> {
        while !self.stopped.is_cancelled() {
            if Instant::now() >= self.next_claim {
                self.claim().await?;
            }
            let entries = self.streams.new_entries().await?;
            self.handle_all(entries).await?;
        }
        Ok(())
    }

    async fn claim(&mut self) -> Result<()> {
        let mut more = false;
        for channel in 0..self.cursors.len() {
            let claimed = self.streams.claim(channel, &self.cursors[channel]).await?;
            more |= claimed.cursor != FROM_THE_BEGINNING;
            self.cursors[channel] = claimed.cursor;
            self.count_lost(channel, claimed.lost);
            self.handle_all(claimed.entries).await?;
        }
        if !more {
            self.next_claim = Instant::now() + self.options.claim_every;
        }
        Ok(())
    }

    async fn handle_all(&mut self, entries: Vec<Entry>) -> Result<()> {
        self.held.take(&entries);
        for entry in &entries {
            if self.stopped.is_cancelled() {
                self.held.give_back(self.options.claim_after).await;
                return Ok(());
            }
            self.handle(entry).await?;
            self.held.done(entry);
        }
        Ok(())
    }

    async fn handle(&self, entry: &Entry) -> Result<()> {
        if entry.deliveries == 0 {
            // Acknowledged since it was handed out.
            return Ok(());
        }
        if entry.is_gone() {
            self.streams.acknowledge(entry).await?;
            self.count_lost(entry.channel, 1);
            return Ok(());
        }
        let Some(event) = entry.raw.event() else {
            return self.bury(entry, "invalid").await;
        };
        if entry.deliveries > self.options.max_deliveries {
            return self.bury(entry, "deliveries").await;
        }
        let event = event.at(entry.raw.id().to_owned(), entry.deliveries);
        match self.tried(entry.channel, event).await {
            Ok(()) => {
                self.streams.acknowledge(entry).await?;
                self.metrics.consumed(self.channel(entry.channel));
                Ok(())
            }
            Err(failure) => self.bury(entry, failure).await,
        }
    }

    /// Has the event handled; the last failure where none of the attempts worked.
    async fn tried(&self, channel: usize, event: Event) -> Result<(), &'static str> {
        let mut backoff = self.options.backoff;
        let mut attempt = 1;
        loop {
            let begun = Instant::now();
            let handled = self.handlers[channel](event.clone()).await;
            self.metrics
                .processed(self.channel(channel), begun.elapsed());
            let Err(failure) = handled else {
                return Ok(());
            };
            self.count(channel, EventFailure::Handler, 1);
            let named = self.channel(channel);
            tracing::warn!(
                channel = named,
                event = event.event_id,
                failure,
                "a handler failed"
            );
            if attempt >= self.options.attempts {
                return Err(failure);
            }
            attempt += 1;
            self.pause(backoff).await;
            backoff = (backoff * 2).min(self.options.longest_backoff);
        }
    }

    async fn bury(&self, entry: &Entry, reason: &str) -> Result<()> {
        self.streams.bury(entry, reason).await?;
        self.count(entry.channel, EventFailure::DeadLetter, 1);
        let channel = self.channel(entry.channel);
        tracing::error!(
            channel,
            entry = entry.raw.id(),
            reason,
            "an event is a dead letter"
        );
        Ok(())
    }

    fn count_lost(&self, channel: usize, events: u64) {
        if events > 0 {
            self.count(channel, EventFailure::Lost, events);
            let channel = self.channel(channel);
            tracing::error!(
                channel,
                events,
                "events were dropped before they were handled"
            );
        }
    }

    fn count(&self, channel: usize, failure: EventFailure, events: u64) {
        self.metrics
            .event_error(self.channel(channel), failure, events);
    }

    fn channel(&self, channel: usize) -> &str {
        &self.streams.channels()[channel].channel
    }

    async fn wait(&mut self, error: &Error, pause: Duration) {
        for channel in 0..self.cursors.len() {
            self.count(channel, EventFailure::Connection, 1);
        }
        tracing::warn!(%error, "the bus does not answer, and is asked again");
        self.streams.disconnect();
        self.pause(pause).await;
    }

    /// About as long; as short as it takes to be stopped.
    async fn pause(&self, longest: Duration) {
        let pause = longest.mul_f64(0.5 + 0.5 * fastrand::f64());
        // Either will do.
        let _ = timeout(pause, self.stopped.cancelled()).await;
    }
}
