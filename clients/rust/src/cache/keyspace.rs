//! The values of one keyspace.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;

use super::claims::Claims;
use super::flights::Flights;
use super::freshness::Freshness;
use super::near::{Changing, Near, NearCache};
use super::turns::Turns;
use crate::command::Command;
use crate::connection::{Connection, Repeat};
use crate::encoding::Encoding;
use crate::error::Result;
use crate::keys::{Parts, Template};
use crate::metrics::Metrics;

/// Commands sent, or keys deleted, at once.
pub(super) const BATCH: usize = 500;

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
    pub(super) name: String,
    pub(super) connection: Connection,
    pub(super) metrics: Arc<dyn Metrics>,
    pub(super) flights: Arc<Flights<Result<Option<V>>>>,
    pub(super) turns: Turns,
    pub(super) claims: Option<Claims>,
    pub(super) near: Option<Arc<NearCache>>,
    pub(super) rules: Rules,
}

/// How values are stored, and for how long they are good.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) encoding: Encoding,
    pub(super) ttl: Option<Duration>,
    pub(super) jitter: f64,
    pub(super) absent_for: Option<Duration>,
    pub(super) freshness: Freshness,
}

impl<V> Clone for Keyspace<V> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            connection: self.connection.clone(),
            metrics: Arc::clone(&self.metrics),
            flights: Arc::clone(&self.flights),
            turns: self.turns.clone(),
            claims: self.claims.clone(),
            near: self.near.clone(),
            rules: self.rules.clone(),
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
            turns: Turns::default(),
            claims: None,
            near: None,
            rules: Rules {
                encoding: Encoding::default(),
                ttl: None,
                jitter: 0.0,
                absent_for: None,
                freshness: Freshness::NONE,
            },
        }
    }

    /// Writes values so. Every form is read, whatever is written.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.rules.encoding = encoding;
        self
    }

    /// Stores values for so long, in place of the contract's time.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.rules.ttl = Some(ttl);
        self
    }

    /// Shortens each value's life by a random part of it, at most this one (0 to 1), so that what was stored together does not run out
    /// together.
    #[must_use]
    pub fn ttl_jitter(mut self, part: f64) -> Self {
        self.rules.jitter = part.clamp(0.0, 1.0);
        self
    }

    /// Remembers for so long that a loader found nothing ([`Keyspace::get_or_load`]). Stored as `null`, which every client takes for
    /// "not there".
    #[must_use]
    pub fn remember_absent(mut self, ttl: Duration) -> Self {
        self.rules.absent_for = Some(ttl);
        self
    }

    /// Has [`Keyspace::get_or_refresh`] load a value again in the last part of its time (0 to 1), ahead of its end, so that nobody waits
    /// for a value that is asked for often. 0.2 of an hour: from 48 minutes on. The nearer the end, the likelier a read begins it: of many
    /// processes rather one than all.
    #[must_use]
    pub fn refresh_early(mut self, part: f64) -> Self {
        self.rules.freshness.early = part.clamp(0.0, 1.0);
        self
    }

    /// Stores values for so long beyond their time, in which they are stale: [`Keyspace::get_or_refresh`] answers with them at once and
    /// loads them anew in the background, [`Keyspace::get_or_load`] answers with them where the loader fails.
    ///
    /// Nothing but the lifetime tells a stale value: whoever reads without this option, also [`Keyspace::get`] and clients in other
    /// languages, takes it for good until it is gone.
    #[must_use]
    pub fn stale_for(mut self, window: Duration) -> Self {
        self.rules.freshness.stale_for = window;
        self
    }

    /// Has one process of all load a value: it holds a lock of the keyspace `locks` meanwhile, and the others wait for the value, for
    /// `wait` at most; then they load it themselves. They ask 4 to 100 times a second.
    ///
    /// The contract has to grant `locks` for writing, with one placeholder in its key; else [`Error::Contract`]. Its time to live is how
    /// long a process that died holds the others up, and how long a load may take before another begins. Give loads a keyspace of locks of
    /// their own: its holders may release each other's. A loader that finds nothing is followed by the next one that waits, unless
    /// that is remembered ([`Keyspace::remember_absent`]). Where the lock cannot be had for an error, each process loads.
    ///
    /// One round trip more for a load that nobody else makes.
    ///
    /// ```no_run
    /// # fn example(bus: cachebus::CacheBus) -> cachebus::Result<()> {
    /// use std::time::Duration;
    ///
    /// let agents = bus.cache().keyspace::<String>("agent")?;
    /// let agents = agents.load_once("lock", Duration::from_secs(2))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn load_once(mut self, locks: &str, wait: Duration) -> Result<Self> {
        let contract = self.connection.contract();
        self.claims = Some(Claims::new(&contract, locks, wait)?);
        Ok(self)
    }

    /// Holds values that were read in the memory of this process, as long as the server would tell of a change: [`Keyspace::get`] and
    /// what loads values are then answered without it. What this keyspace, or a clone of it, has written, or
    /// [`EventBus::invalidate`](crate::EventBus::invalidate) has removed of it, is seen at once.
    ///
    /// Takes a connection of its own, made with the first read. While it is not there nothing is held, and values are read as without
    /// this. [`Error::Contract`] where the service does not subscribe to the channels of [`Near::invalidated_by`].
    pub fn near(mut self, near: Near) -> Result<Self> {
        self.near = Some(NearCache::new(&self.name, self.connection.clone(), near)?);
        Ok(self)
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
        let _changing = self.changing(&keys);
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
        let mut found = std::pin::pin!(self.matching(parts)?);
        let mut removed = 0;
        while let Some(keys) = found.try_next().await? {
            if !keys.is_empty() {
                let _changing = self.changing(&keys);
                removed += self.unlink(&keys).await?;
            }
        }
        Ok(removed)
    }

    /// Held until values have been changed.
    pub(crate) fn changing<K: AsRef<[u8]>>(&self, keys: &[K]) -> Option<Changing<'_>> {
        let near = self.near.as_ref()?;
        let keys = keys.iter().map(|key| String::from_utf8_lossy(key.as_ref()));
        Some(near.changing(keys.map(Into::into).collect()))
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

    /// How long a value is good for.
    pub(super) fn time_to_live(&self) -> Result<Duration> {
        match self.rules.ttl {
            Some(ttl) => Ok(ttl),
            None => Ok(self.connection.contract().keyspace(&self.name)?.ttl),
        }
    }
}
