//! Cached values compared with those of the database.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keyspace::Keyspace;
use super::values::{Found, held, with_life};
use crate::connection::Repeat;
use crate::encoding::{self, Encoding};
use crate::error::{Error, Result};
use crate::keys::Parts;

/// Keys that a report names, at most.
const EXAMPLES: usize = 10;

/// By how much a value may live longer than it is allowed to before that is said.
const TOLERANCE: Duration = Duration::from_secs(1);

/// How [`Keyspace::check_consistency`] goes about it.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Checking {
    sample: usize,
    at_once: usize,
    settle: Duration,
}

impl Default for Checking {
    fn default() -> Self {
        Self {
            sample: 1000,
            at_once: 4,
            settle: Duration::from_secs(1),
        }
    }
}

impl Checking {
    /// Keys that are looked at, chosen by chance. Default 1,000.
    pub fn sample(mut self, keys: usize) -> Self {
        self.sample = keys;
        self
    }

    /// Loads that run at the same time. Default 4.
    pub fn at_once(mut self, loads: usize) -> Self {
        self.at_once = loads.max(1);
        self
    }

    /// What differs is looked at again after so long, and counts where it does so still: a writer may have been between its database and
    /// the cache. Default 1 s; zero: there is no second look.
    pub fn settle(mut self, pause: Duration) -> Self {
        self.settle = pause;
        self
    }
}

/// How many keys were looked at, and how many of them were what. No values are in it, and no keys in its `Debug` output.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consistency {
    /// Keys that were looked at.
    pub sampled: u64,
    /// Nothing is cached.
    pub missing: u64,
    /// What is cached is what the database has. So is a remembered "nothing" where it has nothing.
    pub equal: u64,
    /// It is not, and will be gone within the keyspace's time, as any value whose change nobody told of.
    pub stale: u64,
    /// It is not, and stays for longer than that: who wrote it does not keep to the contract.
    pub different: u64,
    /// The stored bytes are no value.
    pub invalid: u64,
    /// How long ago the oldest of the stale was stored, at most.
    pub oldest: Duration,
    /// Keys of some, at most 10, that are stale, different or invalid.
    pub examples: Vec<String>,
}

impl Consistency {
    /// Whether all that is cached is what the database has.
    pub fn is_consistent(&self) -> bool {
        self.stale + self.different + self.invalid == 0
    }

    fn count(&mut self, key: String, verdict: Verdict) {
        self.sampled += 1;
        let counted = match verdict {
            Verdict::Missing => &mut self.missing,
            Verdict::Equal => &mut self.equal,
            Verdict::Stale(age) => {
                self.oldest = self.oldest.max(age);
                &mut self.stale
            }
            Verdict::Different => &mut self.different,
            Verdict::Invalid => &mut self.invalid,
        };
        *counted += 1;
        if verdict.is_wrong() && self.examples.len() < EXAMPLES {
            self.examples.push(key);
        }
    }
}

impl fmt::Debug for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consistency")
            .field("sampled", &self.sampled)
            .field("missing", &self.missing)
            .field("equal", &self.equal)
            .field("stale", &self.stale)
            .field("different", &self.different)
            .field("invalid", &self.invalid)
            .field("oldest", &self.oldest)
            .finish_non_exhaustive()
    }
}

/// What is to be said of one key.
#[derive(Clone, Copy)]
enum Verdict {
    Missing,
    Equal,
    /// For how long it has been stored, at most.
    Stale(Duration),
    Different,
    Invalid,
}

impl Verdict {
    fn is_wrong(self) -> bool {
        !matches!(self, Self::Missing | Self::Equal)
    }
}

impl<V: Serialize + DeserializeOwned> Keyspace<V> {
    /// Compares cached values with what `load` returns for their parts: what the database has. `among`: the keys of which a sample is
    /// chosen by chance, such as all ids of a table.
    ///
    /// Reads only, and reads the server, whatever is held near; one round trip and one load for each key of the sample, twice for what
    /// differs. Values are equal when they are stored alike. Ends at the first error, of the server after its repetitions or of `load`
    /// ([`Error::LoadFailed`]). While the cache is off nothing is sampled.
    ///
    /// ```no_run
    /// # struct Database;
    /// # impl Database {
    /// #     async fn ids(&self) -> Vec<u64> { Vec::new() }
    /// #     async fn agent(&self, _: u64) -> Result<Option<String>, std::io::Error> { Ok(None) }
    /// # }
    /// # async fn example(bus: cachebus::CacheBus, database: Database) -> cachebus::Result<()> {
    /// use cachebus::Checking;
    ///
    /// let agents = bus.cache().keyspace::<String>("agent")?;
    /// let ids = database.ids().await;
    /// let report = agents.check_consistency(ids, |id| database.agent(id), Checking::default()).await?;
    /// if !report.is_consistent() {
    ///     println!("{report:?}, for example {:?}", report.examples);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn check_consistency<P, F, E>(
        &self,
        among: impl IntoIterator<Item = P>,
        load: impl Fn(P) -> F,
        checking: Checking,
    ) -> Result<Consistency>
    where
        P: Into<Parts> + Clone,
        F: Future<Output = Result<Option<V>, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        if !self.is_enabled() {
            return Ok(Consistency::default());
        }
        let mut sample = Sample::new(checking.sample);
        for parts in among {
            sample.show(parts);
        }
        self.compared(sample.chosen, load, checking).await
    }

    /// The same for a sample of what is cached; `load` gets a key's parts by their names, as text ([`Parts::get`]). O(all keys of the
    /// server), 500 at a time. Needs the right `scan`, which is not part of `write`.
    pub async fn check_cached<F, E>(
        &self,
        load: impl Fn(Parts) -> F,
        checking: Checking,
    ) -> Result<Consistency>
    where
        F: Future<Output = Result<Option<V>, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        if !self.is_enabled() {
            return Ok(Consistency::default());
        }
        let contract = self.connection.contract();
        let template = &contract.keyspace(&self.name)?.template;
        let mut sample = Sample::new(checking.sample);
        let mut found = std::pin::pin!(self.matching(())?);
        while let Some(keys) = found.try_next().await? {
            for key in keys {
                sample.show(template.parts(&String::from_utf8_lossy(&key)));
            }
        }
        self.compared(sample.chosen, load, checking).await
    }

    /// What is wrong twice counts as wrong.
    async fn compared<P, F, E>(
        &self,
        chosen: Vec<P>,
        load: impl Fn(P) -> F,
        checking: Checking,
    ) -> Result<Consistency>
    where
        P: Into<Parts> + Clone,
        F: Future<Output = Result<Option<V>, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let mut keys = HashMap::new();
        for parts in chosen {
            keys.insert(self.key(parts.clone())?, parts);
        }
        let mut report = Consistency::default();
        let mut looks = if checking.settle.is_zero() { 1 } else { 2 };
        while !keys.is_empty() {
            looks -= 1;
            let mut compared = stream::iter(keys)
                .map(|(key, parts)| self.compare(key, parts, &load))
                .buffer_unordered(checking.at_once);
            let mut again = HashMap::new();
            while let Some((key, parts, verdict)) = compared.try_next().await? {
                if looks > 0 && verdict.is_wrong() {
                    again.insert(key, parts);
                } else {
                    report.count(key, verdict);
                }
            }
            if !again.is_empty() {
                tokio::time::sleep(checking.settle).await;
            }
            keys = again;
        }
        Ok(report)
    }

    async fn compare<P, F, E>(
        &self,
        key: String,
        parts: P,
        load: &impl Fn(P) -> F,
    ) -> Result<(String, P, Verdict)>
    where
        P: Clone,
        F: Future<Output = Result<Option<V>, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let commands = Vec::from(with_life(&key));
        let held = held(self.connection.pipeline(commands, Repeat::Safe).await?)?;
        let cached = match held.found::<V>() {
            Ok(Some((Found::Value(value), _))) => Some(value),
            Ok(Some((Found::Absent, _))) => None,
            Ok(None) => return Ok((key, parts, Verdict::Missing)),
            Err(Error::ValueInvalid(_)) => return Ok((key, parts, Verdict::Invalid)),
            Err(error) => return Err(error),
        };
        let loaded = load(parts.clone())
            .await
            .map_err(|error| Error::LoadFailed(Arc::from(error.into())))?;
        if plain(cached.as_ref())? == plain(loaded.as_ref())? {
            return Ok((key, parts, Verdict::Equal));
        }
        let allowed = self.time_to_live()? + self.rules.freshness.stale_for;
        let verdict = match held.left {
            Some(left) if left <= allowed + TOLERANCE => {
                Verdict::Stale(allowed.saturating_sub(left))
            }
            _ => Verdict::Different,
        };
        Ok((key, parts, verdict))
    }
}

/// A value as it is read after it was stored, by whoever knows no type for it.
fn plain<V: Serialize>(value: Option<&V>) -> Result<serde_json::Value> {
    let whole = Encoding::json().max_bytes(usize::MAX);
    value.map_or(Ok(serde_json::Value::Null), |value| {
        encoding::decode(&whole.encode(value)?)
    })
}

/// So many of what it was shown, each as likely as the others.
struct Sample<T> {
    chosen: Vec<T>,
    size: usize,
    shown: usize,
}

impl<T> Sample<T> {
    fn new(size: usize) -> Self {
        Self {
            chosen: Vec::new(),
            size,
            shown: 0,
        }
    }

    fn show(&mut self, item: T) {
        self.shown += 1;
        if self.chosen.len() < self.size {
            self.chosen.push(item);
            return;
        }
        let place = fastrand::usize(..self.shown);
        if let Some(chosen) = self.chosen.get_mut(place) {
            *chosen = item;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_takes_each_as_often_as_the_others() {
        let mut taken = [0_u32; 10];
        for _ in 0..10_000 {
            let mut sample = Sample::new(3);
            for item in 0..taken.len() {
                sample.show(item);
            }
            assert_eq!(sample.chosen.len(), 3);
            for item in sample.chosen {
                taken[item] += 1;
            }
        }
        assert!(
            taken.iter().all(|taken| (2_600..3_400).contains(taken)),
            "{taken:?}"
        );
    }

    #[test]
    fn a_sample_that_is_large_enough_takes_all() {
        let mut sample = Sample::new(10);
        for item in 0..10 {
            sample.show(item);
        }
        assert!(sample.chosen.into_iter().eq(0..10));
    }
}
