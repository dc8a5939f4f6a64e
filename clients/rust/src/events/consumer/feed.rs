//! Where a consumer's work comes from.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lanes::{Ids, Lanes, Work};
use super::reads::Reads;
use super::{KeyOf, Tally};
use crate::error::{Error, Result};
use crate::events::Start;
use crate::events::entry::Entry;
use crate::events::group::Group;
use crate::metrics::EventFailure;
use crate::pauses::Pauses;

/// Where a look through all pending entries begins, and has ended.
const FROM_THE_BEGINNING: &str = "0-0";

/// How long a read waits while a channel has its fill: it may have room sooner than others have events.
const BRIEFLY: Duration = Duration::from_millis(20);

/// After so long without a read its connection is not trusted: servers close those on which nothing is said (`timeout`).
const SILENCE: Duration = Duration::from_mins(1);

/// Gives the lanes what this consumer left, what others left, and what is new.
pub(super) struct Feed {
    group: Arc<Group>,
    reads: Reads,
    lanes: Arc<Lanes>,
    key_of: KeyOf,
    tally: Arc<Tally>,
    stopped: CancellationToken,
    /// The groups existed once: where one is missing, it was lost.
    begun: bool,
    /// For each channel, after which entry to go on with what this consumer left; `None`: there is no more.
    left_after: Vec<Option<String>>,
    cursors: Vec<String>,
    next_claim: Instant,
}

impl Feed {
    pub(super) fn new(
        group: Arc<Group>,
        lanes: Arc<Lanes>,
        key_of: KeyOf,
        tally: Arc<Tally>,
        stopped: CancellationToken,
    ) -> Self {
        let channels = group.channels().len();
        Self {
            reads: Reads::new(Arc::clone(&group)),
            group,
            lanes,
            key_of,
            tally,
            stopped,
            begun: false,
            left_after: vec![None; channels],
            cursors: vec![FROM_THE_BEGINNING.to_owned(); channels],
            next_claim: Instant::now(),
        }
    }

    /// Returns when it is stopped; what waiting does not mend is its error.
    pub(super) async fn run(mut self) -> Result<()> {
        let mut pauses = Pauses::while_away();
        while !self.stopped.is_cancelled() {
            let prepared = self.prepare().await;
            if prepared.is_ok() {
                pauses = Pauses::while_away();
            }
            let fed = match prepared {
                Ok(()) => self.feed().await,
                Err(error) => Err(error),
            };
            // What waits may be claimed by others meanwhile: it is read again.
            match fed {
                Ok(()) => {}
                Err(Error::GroupMissing { .. }) => {
                    self.lanes.forget_waiting();
                    self.reads.disconnect();
                }
                Err(error) if error.is_retryable() => {
                    self.lanes.forget_waiting();
                    for channel in 0..self.cursors.len() {
                        self.tally.failed(channel, EventFailure::Connection, 1);
                    }
                    tracing::warn!(%error, "the bus does not answer, and is asked again");
                    self.reads.disconnect();
                    pauses.wait(&self.stopped).await;
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
            self.group.options().start
        };
        let made = self.group.make_groups(start).await?;
        if self.begun {
            for channel in made {
                self.tally.failed(channel, EventFailure::GroupLost, 1);
                tracing::error!(
                    channel = self.group.channel(channel),
                    "the stream or its consumer group was lost: events may be missing"
                );
            }
        }
        self.begun = true;
        self.left_after.fill(Some("0".to_owned()));
        Ok(())
    }

    async fn feed(&mut self) -> Result<()> {
        let channels = self.cursors.len();
        loop {
            let silent_since = Instant::now();
            let open = tokio::select! {
                biased;
                () = self.stopped.cancelled() => return Ok(()),
                open = self.lanes.room(channels) => open,
            };
            if !self.switched_on().await {
                return Ok(());
            }
            if silent_since.elapsed() > SILENCE {
                self.reads.disconnect();
            }
            let (begun, new): (Vec<usize>, Vec<usize>) = open
                .iter()
                .partition(|&&channel| self.left_after[channel].is_some());
            if !begun.is_empty() {
                self.go_on(&begun).await?;
            } else if Instant::now() >= self.next_claim {
                self.claim(&new).await?;
            } else {
                let block = if new.len() == channels {
                    self.group.options().block
                } else {
                    BRIEFLY.min(self.group.options().block)
                };
                let entries = self.reads.new_entries(&new, block).await?;
                self.add(entries);
            }
        }
    }

    /// Waits while events are switched off; `false` where it is stopped meanwhile.
    async fn switched_on(&self) -> bool {
        if !self.group.connection().contract().events_enabled {
            tracing::info!("events are switched off: none is consumed until they are on");
        }
        self.group.switched_on(&self.stopped).await
    }

    /// Takes up what was handed out to this consumer and is not done with.
    async fn go_on(&mut self, channels: &[usize]) -> Result<()> {
        for &channel in channels {
            let Some(after) = &self.left_after[channel] else {
                continue;
            };
            let held = self.lanes.held();
            let entries = self.reads.unfinished(channel, after).await?;
            self.left_after[channel] = entries.last().map(|last| last.raw.id().to_owned());
            self.add_unless(&held, entries);
        }
        Ok(())
    }

    /// Takes over what others left.
    async fn claim(&mut self, channels: &[usize]) -> Result<()> {
        let mut more = false;
        for &channel in channels {
            let held = self.lanes.held();
            let claimed = self.group.claim(channel, &self.cursors[channel]).await?;
            more |= claimed.cursor != FROM_THE_BEGINNING;
            self.cursors[channel] = claimed.cursor;
            self.tally.lost(channel, claimed.lost);
            self.add_unless(&held, claimed.entries);
        }
        if !more {
            self.next_claim = Instant::now() + self.group.options().claim_every;
        }
        Ok(())
    }

    /// What was held before it was read may be done with since.
    fn add_unless(&self, held: &Ids, mut entries: Vec<Entry>) {
        entries.retain(|entry| {
            let ids = held.get(&entry.channel);
            !ids.is_some_and(|ids| ids.contains(entry.raw.id()))
        });
        self.add(entries);
    }

    fn add(&self, entries: Vec<Entry>) {
        self.lanes
            .add(entries.into_iter().map(|entry| self.work(entry)));
    }

    fn work(&self, entry: Entry) -> Work {
        let event = entry.event();
        let key = event.as_ref().and_then(|event| {
            let key = catch_unwind(AssertUnwindSafe(|| (self.key_of)(event)));
            key.map_err(|_| {
                tracing::warn!(
                    channel = event.channel,
                    event = event.event_id,
                    "an event is ordered by its channel, for its key cannot be told"
                );
            })
            .ok()
        });
        Work {
            key: key.unwrap_or_else(|| self.group.channel(entry.channel).to_owned()),
            entry,
            event,
        }
    }
}
