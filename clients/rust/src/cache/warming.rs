//! Filling a keyspace before it is asked for.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use redis::Value;
use serde::Serialize;

use super::keyspace::{BATCH, Keyspace};
use crate::command::Command;
use crate::connection::Repeat;
use crate::error::{Error, Result};
use crate::keys::Parts;

/// A batch is sent when its commands have this many bytes, however few they are.
const BATCH_BYTES: usize = 1024 * 1024;

/// Batches on their way at the same time, where nothing else is said.
const AT_ONCE: usize = 4;

/// A value and where it belongs, for [`Keyspace::warm`].
#[derive(Clone, Debug)]
pub struct Entry<V> {
    parts: Parts,
    value: V,
    ttl: Option<Duration>,
}

impl<V> Entry<V> {
    /// A value that is stored for the keyspace's time.
    pub fn new(parts: impl Into<Parts>, value: V) -> Self {
        Self {
            parts: parts.into(),
            value,
            ttl: None,
        }
    }

    /// Stores it for so long, in place of the keyspace's time.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

impl<P: Into<Parts>, V> From<(P, V)> for Entry<V> {
    fn from((parts, value): (P, V)) -> Self {
        Self::new(parts, value)
    }
}

/// How [`Keyspace::warm`] goes about it.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Warming {
    at_once: usize,
    replaces: bool,
}

impl Default for Warming {
    fn default() -> Self {
        Self {
            at_once: AT_ONCE,
            replaces: false,
        }
    }
}

impl Warming {
    /// Batches (500 values or 1 MiB) that are on their way at the same time. Default 4.
    pub fn at_once(mut self, batches: usize) -> Self {
        self.at_once = batches.max(1);
        self
    }

    /// Also replaces what is there. Otherwise it stays: a service may have written it after the entry was read.
    pub fn replacing(mut self) -> Self {
        self.replaces = true;
        self
    }
}

/// How far a warming is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmed {
    /// Values that were stored.
    pub stored: u64,
    /// Values that were there, and stay. One that was stored by a call of which no answer came, and which was repeated, is among them.
    pub present: u64,
    /// Entries that no value can be made of: too large, or not to be encoded, or with parts that do not fit.
    pub invalid: u64,
}

impl<V: Serialize> Keyspace<V> {
    /// Stores what a stream yields, in pipelined batches of which some are on their way at the same time: the stream is asked for no more
    /// than that. `progress` is called after each batch, and the last time is the result.
    ///
    /// Ends at the first error: of the stream ([`Error::LoadFailed`]), or of the server after its repetitions. What was stored stays, and
    /// beginning anew does no harm. While the cache is off nothing is stored and the stream is not asked. An entry that is no value is
    /// counted and left out.
    ///
    /// ```no_run
    /// # fn rows() -> impl futures::Stream<Item = Result<(u64, String), std::io::Error>> { futures::stream::empty() }
    /// # async fn example(bus: cachebus::CacheBus) -> cachebus::Result<()> {
    /// use cachebus::Warming;
    ///
    /// let agents = bus.cache().keyspace::<String>("agent")?.ttl_jitter(0.2);
    /// let warmed = agents
    ///     .warm(rows(), Warming::default(), |so_far| println!("{} values", so_far.stored))
    ///     .await?;
    /// println!("{} were there already", warmed.present);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn warm<I, E>(
        &self,
        entries: impl Stream<Item = Result<I, E>>,
        warming: Warming,
        mut progress: impl FnMut(Warmed),
    ) -> Result<Warmed>
    where
        I: Into<Entry<V>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let mut warmed = Warmed::default();
        if !self.is_enabled() {
            return Ok(warmed);
        }
        let batches = stream::try_unfold(Some(Box::pin(entries)), |entries| async move {
            let Some(mut entries) = entries else {
                return Ok(None);
            };
            let batch = self.batch(&mut entries, warming).await?;
            let rest = batch.is_full.then_some(entries);
            Ok(Some((batch, rest)))
        });
        let mut sent = std::pin::pin!(
            batches
                .map_ok(|batch| self.send(batch))
                .try_buffer_unordered(warming.at_once)
        );
        while let Some(batch) = sent.try_next().await? {
            warmed.stored += batch.stored;
            warmed.present += batch.present;
            warmed.invalid += batch.invalid;
            if let Some(near) = self.near.as_ref().filter(|_| warming.replaces) {
                near.clear();
            }
            progress(warmed);
        }
        Ok(warmed)
    }

    async fn batch<I, E>(
        &self,
        entries: &mut (impl Stream<Item = Result<I, E>> + Unpin),
        warming: Warming,
    ) -> Result<Batch>
    where
        I: Into<Entry<V>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while batch.commands.len() < BATCH && bytes < BATCH_BYTES {
            let Some(entry) = entries.next().await else {
                return Ok(batch);
            };
            let entry = entry.map_err(|error| Error::LoadFailed(Arc::from(error.into())))?;
            match self.store_entry(entry.into(), warming) {
                Ok(command) => {
                    bytes += command.size();
                    batch.commands.push(command);
                }
                Err(error) => {
                    batch.invalid += 1;
                    tracing::debug!(keyspace = self.name, %error, "an entry is left out");
                }
            }
        }
        batch.is_full = true;
        Ok(batch)
    }

    async fn send(&self, batch: Batch) -> Result<Warmed> {
        let mut warmed = Warmed {
            invalid: batch.invalid,
            ..Warmed::default()
        };
        if batch.commands.is_empty() {
            return Ok(warmed);
        }
        for reply in self
            .connection
            .pipeline(batch.commands, Repeat::Safe)
            .await?
        {
            match reply {
                Value::Nil => warmed.present += 1,
                _ => warmed.stored += 1,
            }
        }
        Ok(warmed)
    }

    fn store_entry(&self, entry: Entry<V>, warming: Warming) -> Result<Command> {
        let key = self.key(entry.parts)?;
        let ttl = entry.ttl.map_or_else(|| self.time_to_live(), Ok)?;
        let store = self.store_for(&key, &entry.value, ttl)?;
        Ok(if warming.replaces {
            store
        } else {
            store.arg("NX")
        })
    }
}

#[derive(Default)]
struct Batch {
    commands: Vec<Command>,
    invalid: u64,
    /// The stream may have more.
    is_full: bool,
}
