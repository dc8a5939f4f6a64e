//! Streams of durable channels: a server that leads has the consumer groups of the contract, and drops events when they may go.
//!
//! All of them are looked at in rounds, a few at each look at the server. To look changes nothing on it.

use super::led::{IN_ONE_GO, refusal};
use crate::error::AgentError;
use crate::trouble::Trouble;
use cachebus_admin::{ConsumerGroup, Error, Server, Stream};
use cachebus_core::protocol::{ConsumersStatus, DurableEvents};
use cachebus_core::streams::{
    AT_ONCE, Backlog, Group, ROUND_MS, Step, TRIMS, Watch, may_go_on, status, wanted,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What [`Streams::trouble`] is about.
const KEEP: &str = "streams of durable channels are not looked after";

/// What is known of the streams of a server that leads.
#[derive(Debug)]
pub(super) struct Streams {
    /// From which times are counted.
    start: Instant,
    /// By channel.
    watches: Arc<BTreeMap<String, Watch>>,
    /// Channels that have yet to be looked at in this round, the next one last.
    left: Vec<String>,
    /// Begin of the next round; `None`: at once.
    again: Option<Instant>,
    /// A round has come to its end.
    has_looked: bool,
    /// Something was refused in this round.
    refused: bool,
    trouble: Trouble,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            watches: Arc::default(),
            left: Vec::new(),
            again: None,
            has_looked: false,
            refused: false,
            trouble: Trouble::default(),
        }
    }

    /// How the consumers get on, as soon as all have been looked at, where there are any.
    pub(super) fn status(&self) -> Option<ConsumersStatus> {
        let known = self.has_looked && !self.watches.is_empty();
        known.then(|| status(&self.watches))
    }

    /// The streams, by channel.
    pub(super) fn watches(&self) -> Arc<BTreeMap<String, Watch>> {
        Arc::clone(&self.watches)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Looks after the streams.
    pub(super) async fn keep(
        &mut self,
        server: &Server,
        events: &DurableEvents,
        may_write: bool,
    ) -> Result<(), AgentError> {
        self.begin(events);
        self.look(server, events.forget_after_ms, may_write).await
    }

    /// Begins a round where one is due, with the streams that there are to be now.
    fn begin(&mut self, events: &DurableEvents) {
        let due = self.again.is_none_or(|again| Instant::now() >= again);
        if !due || !self.left.is_empty() {
            return;
        }
        self.again = Some(Instant::now() + Duration::from_millis(ROUND_MS));
        self.refused = false;
        let mut known = std::mem::take(Arc::make_mut(&mut self.watches));
        let watches = wanted(events).into_iter().map(|stream| {
            let channel = stream.channel.clone();
            let watch = match known.remove(&channel) {
                Some(mut watch) => {
                    watch.follow(stream);
                    watch
                }
                None => Watch::new(stream),
            };
            (channel, watch)
        });
        self.watches = Arc::new(watches.collect());
        self.left = self.watches.keys().rev().cloned().collect();
    }

    /// Goes on with the round for a while.
    async fn look(
        &mut self,
        server: &Server,
        forget_after_ms: u64,
        may_write: bool,
    ) -> Result<(), AgentError> {
        let begun = Instant::now();
        for _ in 0..AT_ONCE {
            let Some(channel) = self.left.pop() else {
                break;
            };
            let now_ms = self.now_ms();
            let Some(watch) = Arc::make_mut(&mut self.watches).get_mut(&channel) else {
                continue;
            };
            let refused = look_at(watch, server, now_ms).await?;
            let mut refusals: Vec<AgentError> = refused.into_iter().collect();
            if may_write {
                refusals.extend(act(watch, server, forget_after_ms, now_ms, begun).await?);
            }
            for refusal in refusals {
                self.refused = true;
                self.trouble.is(KEEP, &refusal);
            }
            if begun.elapsed() >= IN_ONE_GO {
                break;
            }
        }
        if self.left.is_empty() {
            self.has_looked = true;
            if !self.refused {
                self.trouble.is_over(KEEP);
            }
        }
        Ok(())
    }
}

/// Looks at one stream. Gives back what the server refuses; what fails otherwise ends the connection.
async fn look_at(
    watch: &mut Watch,
    server: &Server,
    now_ms: u64,
) -> Result<Option<AgentError>, AgentError> {
    let (key, lost_key) = (watch.stream().key(), watch.stream().lost_key());
    let stream = server.stream(&key, &lost_key);
    match stream.backlog(retention(watch)).await {
        Ok(told) => {
            let backlog = Backlog {
                exists: told.exists,
                due: told.due,
                length: told.length,
                groups: by_name(told.groups),
            };
            watch.saw(backlog, now_ms);
            Ok(None)
        }
        Err(error) => {
            watch.saw_nothing();
            refusal(error).map(Some)
        }
    }
}

/// Does what follows from a look. One step that is refused keeps no other back: a server whose memory is full makes no group, and yet
/// drops events. So does one that is slow: of groups, those that there is no time for wait for the next round.
async fn act(
    watch: &mut Watch,
    server: &Server,
    forget_after_ms: u64,
    now_ms: u64,
    begun: Instant,
) -> Result<Vec<AgentError>, AgentError> {
    let (key, lost_key) = (watch.stream().key(), watch.stream().lost_key());
    let stream = server.stream(&key, &lost_key);
    let mut refusals = Vec::new();
    let mut late = false;
    for step in watch.steps(forget_after_ms, now_ms) {
        if late && step != Step::Trim {
            continue;
        }
        let done = match &step {
            Step::Create(group) => create(&stream, &key, group).await,
            Step::Remove(group) => remove(&stream, &key, group).await,
            Step::Trim => trim(&stream, watch, now_ms, begun).await,
        };
        if let Err(error) = done {
            refusals.push(refusal(error)?);
        }
        late = begun.elapsed() >= IN_ONE_GO;
    }
    Ok(refusals)
}

async fn create(stream: &Stream<'_>, key: &str, group: &str) -> Result<(), Error> {
    if stream.create_group(group).await? {
        tracing::info!(stream = key, group, "a consumer group is made");
    }
    Ok(())
}

async fn remove(stream: &Stream<'_>, key: &str, group: &str) -> Result<(), Error> {
    if stream.remove_group(group).await? {
        tracing::info!(
            stream = key,
            group,
            "a consumer group that no service has is removed"
        );
    }
    Ok(())
}

async fn trim(
    stream: &Stream<'_>,
    watch: &mut Watch,
    now_ms: u64,
    begun: Instant,
) -> Result<(), Error> {
    for _ in 0..TRIMS {
        let trimmed = stream.trim(retention(watch)).await?;
        let backlog = Backlog {
            exists: true,
            due: false,
            length: trimmed.length,
            groups: by_name(trimmed.groups),
        };
        watch.saw(backlog, now_ms);
        if !may_go_on(trimmed.dropped) || begun.elapsed() >= IN_ONE_GO {
            break;
        }
    }
    Ok(())
}

fn retention(watch: &Watch) -> Duration {
    Duration::from_millis(watch.stream().retention_ms)
}

fn by_name(groups: Vec<ConsumerGroup>) -> BTreeMap<String, Group> {
    let groups = groups.into_iter().map(|group| {
        let figures = Group {
            pending: group.pending,
            lag: group.lag,
            age_ms: u64::try_from(group.age.as_millis()).unwrap_or(u64::MAX),
            lost: group.lost,
        };
        (group.name, figures)
    });
    groups.collect()
}

#[cfg(test)]
mod tests;
