//! One service's group on the streams of durable channels.

use std::time::Duration;

use jiff::Timestamp;
use redis::Value;
use tokio_util::sync::CancellationToken;

use super::entry::{Entry, RawEntry};
use super::{ConsumerOptions, Start};
use crate::command::Command;
use crate::connection::{Connection, Repeat, parsed};
use crate::contract::ChannelSpec;
use crate::error::{Error, Result};

/// What a look for dead consumers' entries has found.
pub(super) struct Claimed {
    /// Where to go on; `0-0`: from the beginning.
    pub(super) cursor: String,
    pub(super) entries: Vec<Entry>,
    /// Entries that were dropped before they were handled.
    pub(super) lost: u64,
}

/// Claims, acknowledges and buries entries on behalf of one consumer.
pub(super) struct Group {
    connection: Connection,
    channels: Vec<ChannelSpec>,
    name: String,
    options: ConsumerOptions,
}

impl Group {
    pub(super) fn new(
        connection: Connection,
        channels: Vec<ChannelSpec>,
        options: ConsumerOptions,
    ) -> Self {
        Self {
            name: connection.contract().service.clone(),
            connection,
            channels,
            options,
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn options(&self) -> &ConsumerOptions {
        &self.options
    }

    pub(super) fn channels(&self) -> &[ChannelSpec] {
        &self.channels
    }

    /// The name of a channel.
    pub(super) fn channel(&self, channel: usize) -> &str {
        &self.channels[channel].channel
    }

    /// Waits while events are switched off; `false` where it is stopped meanwhile.
    pub(super) async fn switched_on(&self, stopped: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = self.connection.events_are(true) => true,
            () = stopped.cancelled() => false,
        }
    }

    /// A read as this consumer, without the streams.
    pub(super) fn read(&self) -> Command {
        Command::new("XREADGROUP")
            .arg("GROUP")
            .arg(&self.name)
            .arg(&self.options.name)
            .arg("COUNT")
            .arg(self.options.batch)
    }

    /// Makes the groups that do not exist; the channels that had none.
    pub(super) async fn make_groups(&self, start: Start) -> Result<Vec<usize>> {
        let start = match start {
            Start::Earliest => "0",
            Start::Latest => "$",
        };
        let mut made = Vec::new();
        for (channel, spec) in self.channels.iter().enumerate() {
            let create = Command::new("XGROUP").arg("CREATE").arg(spec.stream_key());
            let create = create.arg(&self.name).arg(start).arg("MKSTREAM");
            match self.connection.call::<Value>(create, Repeat::Safe).await {
                Ok(_) => made.push(channel),
                Err(Error::Server { code, .. }) if code == "BUSYGROUP" => {}
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }

    /// Takes over what consumers that seem dead were handed out.
    pub(super) async fn claim(&self, channel: usize, cursor: &str) -> Result<Claimed> {
        let claim = Command::new("XAUTOCLAIM")
            .arg(self.channels[channel].stream_key())
            .arg(&self.name)
            .arg(&self.options.name)
            .arg(self.options.claim_after.as_millis())
            .arg(cursor)
            .arg("COUNT")
            .arg(self.options.batch);
        // Done twice, the second finds nothing idle; what the first took is among the unfinished.
        let (cursor, entries, lost): (String, Vec<RawEntry>, Vec<String>) =
            self.connection.call(claim, Repeat::Safe).await?;
        Ok(Claimed {
            cursor,
            entries: self.counted(channel, entries).await?,
            lost: lost.len() as u64,
        })
    }

    /// Says that entries of a channel are done with.
    pub(super) async fn acknowledge(&self, channel: usize, ids: &[String]) -> Result<()> {
        let acknowledgment = self.acknowledgment(channel, ids);
        let _: u64 = self.connection.call(acknowledgment, Repeat::Safe).await?;
        Ok(())
    }

    fn acknowledgment(&self, channel: usize, ids: &[impl AsRef<str>]) -> Command {
        Command::new("XACK")
            .arg(self.channels[channel].stream_key())
            .arg(&self.name)
            .args(ids.iter().map(AsRef::as_ref))
    }

    /// Moves an entry to the service's dead letters, in one step.
    pub(super) async fn bury(&self, entry: &Entry, reason: &str) -> Result<()> {
        let spec = &self.channels[entry.channel];
        let bury = || {
            let add = Command::new("XADD")
                .arg(spec.dead_letter_key(&self.name))
                .arg("*")
                .args(entry.raw.fields())
                .arg("stream_id")
                .arg(entry.raw.id())
                .arg("deliveries")
                .arg(entry.deliveries)
                .arg("reason")
                .arg(reason)
                .arg("failed_at")
                .arg(Timestamp::now().as_millisecond());
            vec![add, self.acknowledgment(entry.channel, &[entry.raw.id()])]
        };
        loop {
            match self.connection.transaction(bury(), Repeat::Never).await {
                // Done as a whole or not at all: the acknowledgment tells.
                Err(Error::OutcomeUnknown { .. })
                    if self.deliveries(entry.channel, &[entry.raw.id()]).await?[0] > 0 => {}
                Err(Error::OutcomeUnknown { .. }) => return Ok(()),
                result => return result.map(drop),
            }
        }
    }

    /// Says that entries were last heard of so long ago: zero keeps others from claiming them, a long time lets them.
    pub(super) async fn hold(&self, channel: usize, ids: &[String], idle: Duration) -> Result<()> {
        let claim = Command::new("XCLAIM")
            .arg(self.channels[channel].stream_key())
            .arg(&self.name)
            .arg(&self.options.name)
            .arg(0)
            .args(ids)
            .arg("IDLE")
            .arg(idle.as_millis())
            .arg("JUSTID");
        let _: Vec<String> = self.connection.call(claim, Repeat::Safe).await?;
        Ok(())
    }

    /// Entries of this consumer's, with how often each was handed out.
    pub(super) async fn counted(
        &self,
        channel: usize,
        entries: Vec<RawEntry>,
    ) -> Result<Vec<Entry>> {
        let ids: Vec<&str> = entries.iter().map(RawEntry::id).collect();
        let deliveries = self.deliveries(channel, &ids).await?;
        let counted = std::iter::zip(entries, deliveries);
        Ok(counted
            .map(|(raw, deliveries)| Entry {
                channel,
                raw,
                deliveries,
            })
            .collect())
    }

    /// How often each entry was handed out; 0: it is acknowledged.
    async fn deliveries(&self, channel: usize, ids: &[&str]) -> Result<Vec<u64>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let questions = ids
            .iter()
            .map(|id| {
                Command::new("XPENDING")
                    .arg(self.channels[channel].stream_key())
                    .arg(&self.name)
                    .arg(id)
                    .arg(id)
                    .arg(1)
            })
            .collect();
        let answers = self.connection.pipeline(questions, Repeat::Safe).await?;
        answers
            .into_iter()
            .map(|answer| {
                let pending: Vec<(String, String, u64, u64)> = parsed("XPENDING", answer)?;
                Ok(pending
                    .first()
                    .map_or(0, |(_, _, _, deliveries)| *deliveries))
            })
            .collect()
    }
}
