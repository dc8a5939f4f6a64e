//! The values of one keyspace.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::flights::Flights;
use crate::command::Command;
use crate::connection::{Connection, Repeat};
use crate::encoding::{self, Encoding};
use crate::error::{Error, Result};
use crate::keys::{Parts, Template};
use crate::metrics::Metrics;

/// Commands sent, or keys deleted, at once.
const BATCH: usize = 500;

/// Keys that a server looks at for one `SCAN`.
const SCAN_COUNT: usize = 500;

/// Values of one type in a keyspace of the contract; from [`Cache::keyspace`](super::Cache::keyspace). Cheap to clone.
///
/// While the cache is off (`USE_CACHE=false`, or `enabled: false` in the contract) reads find nothing and writes do nothing. Deletions
/// are sent nevertheless, for other services may use the cache.
///
/// ```no_run
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct Agent;
/// # async fn load() -> Result<Option<Agent>, std::io::Error> { Ok(None) }
/// # async fn example(bus: cachebus::CacheBus) -> cachebus::Result<()> {
/// let agents = bus.cache().keyspace::<Agent>("agent")?;
/// let agent = agents.get_or_load(7, load).await?;
/// agents.delete(7).await?;
/// # Ok(())
/// # }
/// ```
pub struct Keyspace<V> {
    name: String,
    connection: Connection,
    metrics: Arc<dyn Metrics>,
    flights: Arc<Flights<Result<Option<V>>>>,
    encoding: Encoding,
    ttl: Option<Duration>,
    jitter: f64,
    absent_for: Option<Duration>,
}

impl<V> Clone for Keyspace<V> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            connection: self.connection.clone(),
            metrics: Arc::clone(&self.metrics),
            flights: Arc::clone(&self.flights),
            encoding: self.encoding,
            ttl: self.ttl,
            jitter: self.jitter,
            absent_for: self.absent_for,
        }
    }
}

impl<V> Keyspace<V> {
    pub(super) fn new(name: &str, connection: Connection, metrics: Arc<dyn Metrics>) -> Self {
        Self {
            name: name.to_owned(),
            connection,
            metrics,
            flights: Arc::default(),
            encoding: Encoding::default(),
            ttl: None,
            jitter: 0.0,
            absent_for: None,
        }
    }

    /// Writes values so. Every form is read, whatever is written.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Stores values for so long, in place of the contract's time.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Shortens each value's life by a random part of it, at most this one (0 to 1), so that what was stored together does not run out
    /// together.
    #[must_use]
    pub fn ttl_jitter(mut self, part: f64) -> Self {
        self.jitter = part.clamp(0.0, 1.0);
        self
    }

    /// Remembers for so long that a loader found nothing ([`Keyspace::get_or_load`]). Stored as `null`, which every client takes for
    /// "not there".
    #[must_use]
    pub fn remember_absent(mut self, ttl: Duration) -> Self {
        self.absent_for = Some(ttl);
        self
    }

    /// Its name in the contract.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether values are read and written.
    pub fn is_enabled(&self) -> bool {
        self.connection.settings().use_cache && self.connection.contract().cache_enabled
    }

    /// The key for these parts.
    pub fn key(&self, parts: impl Into<Parts>) -> Result<String> {
        self.template(|template| template.key(parts))
    }

    /// Whether something is stored there. One round trip, as brief as a read.
    pub async fn exists(&self, parts: impl Into<Parts>) -> Result<bool> {
        let key = self.key(parts)?;
        if !self.is_enabled() {
            return Ok(false);
        }
        self.connection
            .call_briefly(Command::new("EXISTS").arg(key))
            .await
    }

    /// Removes a value (`UNLINK`) and says whether there was one. Repeated until an answer comes; then `false` may be said of a value
    /// that this very call removed.
    pub async fn delete(&self, parts: impl Into<Parts>) -> Result<bool> {
        Ok(self.delete_many([parts]).await? > 0)
    }

    /// Removes values and says how many there were. One round trip for each 500.
    pub async fn delete_many<P: Into<Parts>>(
        &self,
        many: impl IntoIterator<Item = P>,
    ) -> Result<u64> {
        let keys = self.keys(many)?;
        let mut removed = 0;
        for batch in keys.chunks(BATCH) {
            removed += self.unlink(batch).await?;
        }
        Ok(removed)
    }

    /// Removes all values whose parts match, and says how many: `"7*"`, or `[("agent", "a1")]` of several parts; `()`: the keyspace.
    ///
    /// `SCAN` and `UNLINK` in batches: O(all keys of the server), 500 at a time. Needs the right `scan`, which is not part of `write`.
    /// Values that are set meanwhile may stay.
    pub async fn delete_matching(&self, parts: impl Into<Parts>) -> Result<u64> {
        let contract = self.connection.contract();
        let template = &contract.keyspace(&self.name)?.template;
        let pattern = template.pattern(parts)?;
        let mut removed = 0;
        let mut cursor = 0_u64;
        let mut generation = self.connection.generation();
        loop {
            let scan = Command::new("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(SCAN_COUNT);
            let (next, found): (u64, Vec<Vec<u8>>) =
                self.connection.call(scan, Repeat::Safe).await?;
            let now = self.connection.generation();
            if now != generation {
                // Cursors of one server say nothing to another.
                (cursor, generation) = (0, now);
                continue;
            }
            // Globs let a placeholder span colons: keys of others are left alone.
            let ours: Vec<_> = found
                .into_iter()
                .filter(|key| template.matches(&String::from_utf8_lossy(key)))
                .collect();
            if !ours.is_empty() {
                removed += self.unlink(&ours).await?;
            }
            if next == 0 {
                return Ok(removed);
            }
            cursor = next;
        }
    }

    async fn unlink<K: redis::ToRedisArgs>(&self, keys: &[K]) -> Result<u64> {
        let unlink = Command::new("UNLINK").args(keys);
        self.connection.call(unlink, Repeat::Safe).await
    }

    pub(crate) fn keys<P: Into<Parts>>(
        &self,
        many: impl IntoIterator<Item = P>,
    ) -> Result<Vec<String>> {
        self.template(|template| many.into_iter().map(|parts| template.key(parts)).collect())
    }

    fn template<T>(&self, make: impl FnOnce(&Template) -> Result<T>) -> Result<T> {
        make(&self.connection.contract().keyspace(&self.name)?.template)
    }

    /// Milliseconds that a value is stored for.
    fn lifetime(&self, ttl: Duration) -> u64 {
        let lived = ttl.mul_f64(1.0 - self.jitter * fastrand::f64());
        u64::try_from(lived.as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

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
        let mut commands = Vec::new();
        for (parts, value) in values {
            commands.push(self.store(&self.key(parts)?, value)?);
        }
        if !self.is_enabled() {
            return Ok(());
        }
        while !commands.is_empty() {
            let rest = commands.split_off(commands.len().min(BATCH));
            self.connection.pipeline(commands, Repeat::Safe).await?;
            commands = rest;
        }
        Ok(())
    }

    fn store(&self, key: &str, value: &V) -> Result<Command> {
        let contract = self.connection.contract();
        let ttl = self.ttl.unwrap_or(contract.keyspace(&self.name)?.ttl);
        let data = self.encoding.encode(value)?;
        if encoding::is_null(&data) {
            return Err(Error::ValueInvalid(
                "null stands for no value and cannot be stored".to_owned(),
            ));
        }
        Ok(self.stored(key, &data, ttl))
    }

    fn stored(&self, key: &str, data: &[u8], ttl: Duration) -> Command {
        Command::new("SET")
            .arg(key)
            .arg(data)
            .arg("PX")
            .arg(self.lifetime(ttl))
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

    async fn look_up(&self, key: &str) -> Result<Option<Found<V>>> {
        if !self.is_enabled() {
            return Ok(None);
        }
        let stored: Option<Vec<u8>> = self
            .connection
            .call_briefly(Command::new("GET").arg(key))
            .await?;
        let hits = usize::from(stored.is_some());
        self.count(hits, 1 - hits);
        let Some(data) = stored else {
            return Ok(None);
        };
        let value = encoding::decode_unless_null(&data)?;
        Ok(Some(value.map_or(Found::Absent, Found::Value)))
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
enum Found<V> {
    Value(V),
    /// That a loader found nothing.
    Absent,
}

impl<V: Serialize + DeserializeOwned + Clone> Keyspace<V> {
    /// The value, or what `load` returns, which is then stored.
    ///
    /// Calls for the same key at the same time within this process share one `load`: each gets a clone of what it returned, or its
    /// error as [`Error::LoadFailed`]. Errors of the cache are not the caller's: they are logged, and `load` answers. A cache that does
    /// not answer costs at most one `connect_timeout` and one `command_timeout`, and nothing for a while after a few such failures.
    ///
    /// `Ok(None)` of the loader is remembered only with [`Keyspace::remember_absent`].
    pub async fn get_or_load<E, F>(
        &self,
        parts: impl Into<Parts>,
        load: impl FnOnce() -> F,
    ) -> Result<Option<V>>
    where
        F: Future<Output = Result<Option<V>, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let key = self.key(parts)?;
        self.flights
            .join(&key, async {
                let stores = match self.look_up(&key).await {
                    Ok(Some(Found::Value(value))) => return Ok(Some(value)),
                    Ok(Some(Found::Absent)) if self.absent_for.is_some() => return Ok(None),
                    Ok(_) => true,
                    Err(error) => {
                        tracing::warn!(keyspace = self.name, %error, "reading from the cache failed");
                        // What others have stored in another form is replaced; a server that failed is not asked again.
                        matches!(error, Error::ValueInvalid(_))
                    }
                };
                let loaded = load()
                    .await
                    .map_err(|error| Error::LoadFailed(Arc::from(error.into())))?;
                if stores {
                    self.keep(&key, loaded.as_ref()).await;
                }
                Ok(loaded)
            })
            .await
    }

    /// Stores what was loaded, as far as that is possible and wanted.
    async fn keep(&self, key: &str, loaded: Option<&V>) {
        let kept = async {
            let contract = self.connection.contract();
            if !self.is_enabled() || !contract.keyspace(&self.name)?.writable {
                return Ok(());
            }
            let command = match (loaded, self.absent_for) {
                (Some(value), _) => self.store(key, value)?,
                (None, Some(ttl)) => self.stored(key, b"null", ttl),
                (None, None) => return Ok(()),
            };
            self.connection
                .call_briefly::<Value>(command)
                .await
                .map(drop)
        };
        if let Err(error) = kept.await {
            tracing::warn!(keyspace = self.name, %error, "writing to the cache failed");
        }
    }
}
