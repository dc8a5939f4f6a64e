//! One service's group on the streams of durable channels.

use std::time::Duration;

use jiff::Timestamp;
use redis::{FromRedisValue, ParsingError, Value};

use super::{ConsumerOptions, Start};
use crate::command::Command;
use crate::connection::{Connection, Link, Repeat, checked, parsed};
use crate::contract::ChannelSpec;
use crate::error::{Error, Result};
use crate::event::Event;

/// An entry of a stream as a server sends it.
pub(super) struct RawEntry {
    id: String,
    /// Names and values in turn; none where the entry itself is gone.
    fields: Vec<Vec<u8>>,
}

impl FromRedisValue for RawEntry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (id, fields): (String, Option<Vec<Vec<u8>>>) = redis::from_redis_value(value)?;
        Ok(Self {
            id,
            fields: fields.unwrap_or_default(),
        })
    }
}

impl RawEntry {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        let mut pairs = self.fields.chunks_exact(2);
        pairs
            .find(|pair| pair[0] == name.as_bytes())
            .map(|pair| pair[1].as_slice())
    }

    pub(super) fn event(&self) -> Option<Event> {
        Event::decode(self.field("envelope")?).ok()
    }
}

/// One entry as it was handed out.
pub(super) struct Entry {
    /// Its channel's place among those of the consumer.
    pub(super) channel: usize,
    pub(super) raw: RawEntry,
    /// 0: it is acknowledged.
    pub(super) deliveries: u64,
}

impl Entry {
    pub(super) fn is_gone(&self) -> bool {
        self.raw.fields.is_empty()
    }
}

/// What a look for dead consumers' entries has found.
pub(super) struct Claimed {
    /// Where to go on; `0-0`: from the beginning.
    pub(super) cursor: String,
    pub(super) entries: Vec<Entry>,
    /// Entries that were dropped before they were handled.
    pub(super) lost: u64,
}

/// Reads, claims, acknowledges and buries entries on behalf of one consumer.
pub(super) struct Streams {
    connection: Connection,
    channels: Vec<ChannelSpec>,
    group: String,
    options: ConsumerOptions,
    reading: Option<Link>,
}

impl Streams {
    pub(super) fn new(
        connection: Connection,
        channels: Vec<ChannelSpec>,
        options: ConsumerOptions,
    ) -> Self {
        Self {
            group: connection.contract().service.clone(),
            connection,
            channels,
            options,
            reading: None,
        }
    }

    pub(super) fn channels(&self) -> &[ChannelSpec] {
        &self.channels
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
            let create = create.arg(&self.group).arg(start).arg("MKSTREAM");
            match self.connection.call::<Value>(create, Repeat::Safe).await {
                Ok(_) => made.push(channel),
                Err(Error::Server { code, .. }) if code == "BUSYGROUP" => {}
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }

    /// What this consumer was handed out in a former life, after this entry.
    pub(super) async fn unfinished(&mut self, channel: usize, after: &str) -> Result<Vec<Entry>> {
        let key = self.channels[channel].stream_key();
        let read = self.read().arg("STREAMS").arg(key).arg(after);
        let mut streams = self.answer(read, Duration::ZERO).await?;
        let entries = streams.pop().map(|(_, entries)| entries);
        self.counted(channel, entries.unwrap_or_default()).await
    }

    /// What nobody was handed out yet. Waits for it.
    pub(super) async fn new_entries(&mut self) -> Result<Vec<Entry>> {
        let block = self.options.block.max(Duration::from_millis(1));
        let keys: Vec<String> = self.channels.iter().map(ChannelSpec::stream_key).collect();
        let read = self.read().arg("BLOCK").arg(block.as_millis());
        let read = read
            .arg("STREAMS")
            .args(&keys)
            .args(keys.iter().map(|_| ">"));
        let streams = self.answer(read, block).await?;
        let mut new = Vec::new();
        for (stream, entries) in streams {
            if let Some(channel) = keys.iter().position(|key| *key == stream) {
                new.extend(entries.into_iter().map(|raw| Entry {
                    channel,
                    raw,
                    deliveries: 1,
                }));
            }
        }
        Ok(new)
    }

    /// Takes over what consumers that seem dead were handed out.
    pub(super) async fn claim(&self, channel: usize, cursor: &str) -> Result<Claimed> {
        let claim = Command::new("XAUTOCLAIM")
            .arg(self.channels[channel].stream_key())
            .arg(&self.group)
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

    /// Says that an entry is done with.
    pub(super) async fn acknowledge(&self, entry: &Entry) -> Result<()> {
        let _: u64 = self
            .connection
            .call(self.acknowledgment(entry), Repeat::Safe)
            .await?;
        Ok(())
    }

    fn acknowledgment(&self, entry: &Entry) -> Command {
        Command::new("XACK")
            .arg(self.channels[entry.channel].stream_key())
            .arg(&self.group)
            .arg(entry.raw.id())
    }

    /// Moves an entry to the service's dead letters, in one step.
    pub(super) async fn bury(&self, entry: &Entry, reason: &str) -> Result<()> {
        let spec = &self.channels[entry.channel];
        let bury = || {
            let add = Command::new("XADD")
                .arg(spec.dead_letter_key(&self.group))
                .arg("*")
                .args(&entry.raw.fields)
                .arg("stream_id")
                .arg(entry.raw.id())
                .arg("deliveries")
                .arg(entry.deliveries)
                .arg("reason")
                .arg(reason)
                .arg("failed_at")
                .arg(Timestamp::now().as_millisecond());
            vec![add, self.acknowledgment(entry)]
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

    /// A connection for saying that entries are held, apart from this value.
    pub(super) fn holder(&self) -> Holder {
        Holder {
            connection: self.connection.clone(),
            keys: self.channels.iter().map(ChannelSpec::stream_key).collect(),
            group: self.group.clone(),
            consumer: self.options.name.clone(),
        }
    }

    /// Ends the connection of reads that wait.
    pub(super) fn disconnect(&mut self) {
        self.reading = None;
    }

    fn read(&self) -> Command {
        Command::new("XREADGROUP")
            .arg("GROUP")
            .arg(&self.group)
            .arg(&self.options.name)
            .arg("COUNT")
            .arg(self.options.batch)
    }

    /// Its outcome may be unknown: entries were handed out that did not arrive, and are among the unfinished.
    async fn answer(
        &mut self,
        read: Command,
        block: Duration,
    ) -> Result<Vec<(String, Vec<RawEntry>)>> {
        let link = match self.reading.take() {
            Some(link) => link,
            None => self.connection.dedicated().await?,
        };
        let patience = block + self.connection.settings().command_timeout;
        let name = read.name();
        // Taken out meanwhile: a read that is given up leaves an answer behind that would be the next one's.
        let Ok(reply) = link.ask(&read, patience).await else {
            self.connection.forget(link.generation());
            return Err(Error::OutcomeUnknown {
                command: name.to_owned(),
                repeatable: true,
            });
        };
        let reply = match checked(name, reply) {
            Err(error) if error.is_undone() => {
                self.connection.forget(link.generation());
                return Err(error);
            }
            reply => {
                self.reading = Some(link);
                reply?
            }
        };
        let streams: Option<Vec<(String, Vec<RawEntry>)>> = parsed(name, reply)?;
        Ok(streams.unwrap_or_default())
    }

    async fn counted(&self, channel: usize, entries: Vec<RawEntry>) -> Result<Vec<Entry>> {
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
                    .arg(&self.group)
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

/// Says which entries are being handled.
#[derive(Clone)]
pub(super) struct Holder {
    connection: Connection,
    keys: Vec<String>,
    group: String,
    consumer: String,
}

impl Holder {
    /// Says that entries were last heard of so long ago: zero keeps others from claiming them, a long time lets them.
    pub(super) async fn hold(&self, channel: usize, ids: &[String], idle: Duration) -> Result<()> {
        let claim = Command::new("XCLAIM")
            .arg(&self.keys[channel])
            .arg(&self.group)
            .arg(&self.consumer)
            .arg(0)
            .args(ids)
            .arg("IDLE")
            .arg(idle.as_millis())
            .arg("JUSTID");
        let _: Vec<String> = self.connection.call(claim, Repeat::Safe).await?;
        Ok(())
    }
}
