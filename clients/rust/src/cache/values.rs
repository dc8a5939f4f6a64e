//! Reading and writing the values of a keyspace.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keyspace::{BATCH, Keyspace};
use crate::command::Command;
use crate::connection::{Repeat, parsed};
use crate::encoding;
use crate::error::{Error, Result};
use crate::keys::Parts;

impl<V: Serialize> Keyspace<V> {
    /// Stores a value. Repeated until an answer comes: of two that set a value at the same time either may be the last.
    pub async fn set(&self, parts: impl Into<Parts>, value: &V) -> Result<()> {
        self.mset([(parts, value)]).await
    }

    /// Stores many, each with its time to live, in pipelines of 500. Not all or nothing: where one fails, others may be stored.
    pub async fn mset<'a, P: Into<Parts>>(
        &self,
        values: impl IntoIterator<Item = (P, &'a V)>,
    ) -> Result<()>
    where
        V: 'a,
    {
        let (mut keys, mut commands) = (Vec::new(), Vec::new());
        for (parts, value) in values {
            let key = self.key(parts)?;
            commands.push(self.store(&key, value)?);
            keys.push(key);
        }
        if !self.is_enabled() {
            return Ok(());
        }
        let _changing = self.changing(&keys);
        while !commands.is_empty() {
            let rest = commands.split_off(commands.len().min(BATCH));
            self.connection.pipeline(commands, Repeat::Safe).await?;
            commands = rest;
        }
        Ok(())
    }

    /// The command that stores a value for its time.
    pub(super) fn store(&self, key: &str, value: &V) -> Result<Command> {
        self.store_for(key, value, self.time_to_live()?)
    }

    pub(super) fn store_for(&self, key: &str, value: &V, ttl: Duration) -> Result<Command> {
        let data = self.rules.encoding.encode(value)?;
        if encoding::is_null(&data) {
            return Err(Error::ValueInvalid(
                "null stands for no value and cannot be stored".to_owned(),
            ));
        }
        let lifetime = self.jittered(ttl) + self.rules.freshness.stale_for;
        Ok(stored(key, &data, lifetime))
    }

    /// The command that stores that there is nothing.
    pub(super) fn store_absent(&self, key: &str, ttl: Duration) -> Command {
        stored(key, b"null", self.jittered(ttl))
    }

    fn jittered(&self, ttl: Duration) -> Duration {
        ttl.mul_f64(1.0 - self.rules.jitter * fastrand::f64())
    }
}

impl<V: DeserializeOwned> Keyspace<V> {
    /// The value, or `None`; [`Error::ValueInvalid`] where something else is stored. One round trip within one `command_timeout`.
    pub async fn get(&self, parts: impl Into<Parts>) -> Result<Option<V>> {
        let key = self.key(parts)?;
        match self.look_up(&key).await? {
            Some(Found::Value(value)) => Ok(Some(value)),
            Some(Found::Absent) | None => Ok(None),
        }
    }

    /// The values in the order asked for, `None` for each that is not there. One `MGET`.
    pub async fn mget<P: Into<Parts>>(
        &self,
        many: impl IntoIterator<Item = P>,
    ) -> Result<Vec<Option<V>>> {
        let keys = self.keys(many)?;
        if keys.is_empty() || !self.is_enabled() {
            return Ok(keys.iter().map(|_| None).collect());
        }
        let stored: Vec<Option<Vec<u8>>> = self
            .connection
            .call_briefly(Command::new("MGET").args(&keys))
            .await?;
        let hits = stored.iter().flatten().count();
        self.count(hits, stored.len() - hits);
        stored
            .into_iter()
            .map(|data| data.map_or(Ok(None), |data| encoding::decode_unless_null(&data)))
            .collect()
    }

    /// What a key holds.
    pub(super) async fn look_up(&self, key: &str) -> Result<Option<Found<V>>> {
        if !self.is_enabled() {
            return Ok(None);
        }
        if let Some(held) = self.look_near(key).await? {
            return Ok(self.found(&held)?.map(|(found, _)| found));
        }
        let stored: Option<Vec<u8>> = self
            .connection
            .call_briefly(Command::new("GET").arg(key))
            .await?;
        self.count_one(stored.is_some());
        stored.map(|data| found(&data)).transpose()
    }

    /// The same and how long it stays, in one round trip. `None`: it has no end.
    pub(super) async fn look_up_with_life(
        &self,
        key: &str,
    ) -> Result<Option<(Found<V>, Option<Duration>)>> {
        if !self.is_enabled() {
            return Ok(None);
        }
        if let Some(held) = self.look_near(key).await? {
            return self.found(&held);
        }
        let commands = Vec::from(with_life(key));
        let replies = self.connection.pipeline_briefly(commands).await?;
        self.found(&held(replies)?)
    }

    async fn look_near(&self, key: &str) -> Result<Option<Held>> {
        match &self.near {
            Some(near) => near.look_up(key).await.transpose(),
            None => Ok(None),
        }
    }

    fn found<D: AsRef<[u8]>>(
        &self,
        held: &Held<D>,
    ) -> Result<Option<(Found<V>, Option<Duration>)>> {
        self.count_one(held.data.is_some());
        held.found()
    }

    fn count_one(&self, hit: bool) {
        self.count(usize::from(hit), usize::from(!hit));
    }

    fn count(&self, hits: usize, misses: usize) {
        if hits > 0 {
            self.metrics.hit(&self.name, hits as u64);
        }
        if misses > 0 {
            self.metrics.miss(&self.name, misses as u64);
        }
    }
}

/// What a key holds.
pub(super) enum Found<V> {
    Value(V),
    /// That a loader found nothing.
    Absent,
}

/// Asks for a value and how long it stays.
pub(super) fn with_life(key: &str) -> [Command; 2] {
    [Command::new("GET").arg(key), Command::new("PTTL").arg(key)]
}

/// What a key holds, as it is stored.
pub(super) struct Held<D = Arc<[u8]>> {
    /// `None`: nothing.
    pub(super) data: Option<D>,
    /// How long it stays; `None`: it has no end.
    pub(super) left: Option<Duration>,
}

impl<D: AsRef<[u8]>> Held<D> {
    pub(super) fn found<V: DeserializeOwned>(
        &self,
    ) -> Result<Option<(Found<V>, Option<Duration>)>> {
        let Some(data) = &self.data else {
            return Ok(None);
        };
        Ok(Some((found(data.as_ref())?, self.left)))
    }
}

impl Held<Vec<u8>> {
    /// The same for several who hold it.
    pub(super) fn shared(self) -> Held {
        Held {
            data: self.data.map(Arc::from),
            left: self.left,
        }
    }
}

/// What was answered to [`with_life`].
pub(super) fn held(replies: impl IntoIterator<Item = Value>) -> Result<Held<Vec<u8>>> {
    let mut replies = replies.into_iter();
    let data = parsed("GET", replies.next().unwrap_or(Value::Nil))?;
    // `PTTL` says -1 where there is no end, and -2 where the key is gone, which was there a moment before.
    let life: i64 = parsed("PTTL", replies.next().unwrap_or(Value::Nil))?;
    Ok(Held {
        data,
        left: (life != -1).then(|| Duration::from_millis(u64::try_from(life).unwrap_or(0))),
    })
}

fn found<V: DeserializeOwned>(data: &[u8]) -> Result<Found<V>> {
    let value = encoding::decode_unless_null(data)?;
    Ok(value.map_or(Found::Absent, Found::Value))
}

fn stored(key: &str, data: &[u8], lifetime: Duration) -> Command {
    let millis = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
    Command::new("SET")
        .arg(key)
        .arg(data)
        .arg("PX")
        .arg(millis.max(1))
}
