//! Values that are loaded where the cache does not have them.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::claims::Claimed;
use super::freshness::{Age, Freshness};
use super::keyspace::Keyspace;
use super::values::Found;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::keys::Parts;

/// How long a value is not loaded again in the background after its loader failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the cache says before a load.
enum Sought<V> {
    /// `None`: that there is nothing.
    Good(Option<V>),
    /// Good, and to be loaded ahead.
    Ripe(V),
    /// Beyond its time.
    Stale(V),
    Missing(Keep),
}

/// Whether what was loaded is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    No,
    Yes,
    /// Where a value is still there: what was removed while it was loaded is not put back.
    InPlace,
}

impl<V: Serialize + DeserializeOwned + Clone> Keyspace<V> {
    /// The value, or what `load` returns, which is then stored.
    ///
    /// Calls for the same key at the same time within this process share one `load`: each gets a clone of what it returned, or its
    /// error as [`Error::LoadFailed`]. Errors of the cache are not the caller's: they are logged, and `load` answers. A cache that does
    /// not answer costs at most one `connect_timeout` and one `command_timeout`, and nothing for a while after a few such failures.
    ///
    /// `Ok(None)` of the loader is remembered only with [`Keyspace::remember_absent`]. A value beyond its time
    /// ([`Keyspace::stale_for`]) is loaded like one that is missing, and answers where `load` fails.
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
                match self.seek(&key).await {
                    Sought::Good(value) => Ok(value),
                    Sought::Ripe(value) => Ok(Some(value)),
                    Sought::Stale(old) => {
                        let loaded = self.load_first(&key, load, Keep::InPlace).await;
                        loaded.or_else(|error| {
                            tracing::warn!(keyspace = self.name, %error, "a stale value answers");
                            Ok(Some(old))
                        })
                    }
                    Sought::Missing(keep) => self.load_first(&key, load, keep).await,
                }
            })
            .await
    }

    /// As [`Keyspace::get_or_load`], and a value that is to be loaded again answers at once while `load` runs in the background: in the
    /// last part of its time with [`Keyspace::refresh_early`], beyond its time with [`Keyspace::stale_for`].
    ///
    /// One load for each key runs in the background of this process, and none within a second of one that failed; its error is logged.
    /// What it returns is stored only where a value is still there: what was removed meanwhile is not put back. `Ok(None)` removes the
    /// value. So an answer is at most as old as the keyspace's time to live, `stale_for`, and the time that its load took.
    ///
    /// ```no_run
    /// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// # struct Agent;
    /// # #[derive(Clone)]
    /// # struct Database;
    /// # impl Database {
    /// #     async fn agent(&self, _: u64) -> Result<Option<Agent>, std::io::Error> { Ok(None) }
    /// # }
    /// # async fn example(bus: cachebus::CacheBus, database: Database) -> cachebus::Result<()> {
    /// use std::time::Duration;
    ///
    /// let agents = bus.cache().keyspace::<Agent>("agent")?;
    /// let agents = agents.refresh_early(0.2).stale_for(Duration::from_secs(60));
    /// let database = database.clone(); // the load may outlive the call
    /// let agent = agents.get_or_refresh(7, async move || database.agent(7).await).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_or_refresh<E, F>(
        &self,
        parts: impl Into<Parts>,
        load: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Option<V>>
    where
        F: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        V: Send + Sync + 'static,
    {
        let key = self.key(parts)?;
        self.flights
            .join(&key, async {
                match self.seek(&key).await {
                    Sought::Good(value) => Ok(value),
                    Sought::Ripe(value) | Sought::Stale(value) => {
                        self.refresh(&key, load);
                        Ok(Some(value))
                    }
                    Sought::Missing(keep) => self.load_first(&key, load, keep).await,
                }
            })
            .await
    }

    async fn seek(&self, key: &str) -> Sought<V> {
        let found = if self.rules.freshness == Freshness::NONE {
            let found = self.look_up(key).await;
            found.map(|found| found.map(|found| (found, Age::Fresh)))
        } else {
            self.look_up_with_age(key).await
        };
        match found {
            Ok(Some((Found::Value(value), age))) => match age {
                Age::Fresh => Sought::Good(Some(value)),
                Age::Ripe => Sought::Ripe(value),
                Age::Stale => Sought::Stale(value),
            },
            Ok(Some((Found::Absent, _))) if self.rules.absent_for.is_some() => Sought::Good(None),
            Ok(_) => Sought::Missing(Keep::Yes),
            Err(error) => {
                tracing::warn!(keyspace = self.name, %error, "reading from the cache failed");
                // What others have stored in another form is replaced; a server that failed is not asked again.
                Sought::Missing(match error {
                    Error::ValueInvalid(_) => Keep::Yes,
                    _ => Keep::No,
                })
            }
        }
    }

    async fn look_up_with_age(&self, key: &str) -> Result<Option<(Found<V>, Age)>> {
        let ttl = self.time_to_live()?;
        let found = self.look_up_with_life(key).await?;
        Ok(found.map(|(found, left)| {
            let age = self.rules.freshness.age(left, ttl, fastrand::f64());
            (found, age)
        }))
    }

    /// As [`Keyspace::load`], where no other process does it first.
    async fn load_first<E, F>(
        &self,
        key: &str,
        load: impl FnOnce() -> F,
        keep: Keep,
    ) -> Result<Option<V>>
    where
        F: Future<Output = Result<Option<V>, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let claim = if keep == Keep::No {
            None
        } else {
            self.claimed(key, true, |age| age != Age::Stale).await
        };
        let claim = match claim {
            Some(Claimed::Stored(value)) => return Ok(value),
            Some(Claimed::Mine(claim)) => Some(claim),
            Some(Claimed::Others) | None => None,
        };
        // The claim is held until the value is stored.
        let loaded = self.load(key, load, keep).await;
        drop(claim);
        loaded
    }

    async fn claimed(
        &self,
        key: &str,
        waits: bool,
        good: impl Fn(Age) -> bool,
    ) -> Option<Claimed<V>> {
        let claims = self.claims.as_ref().filter(|_| self.stores())?;
        // Boxed, like all that most calls have no need of: their futures would be the larger for it.
        match Box::pin(self.claim(claims, key, waits, good)).await {
            Ok(claimed) => Some(claimed),
            Err(error) => {
                tracing::warn!(keyspace = self.name, %error, "claiming a load failed");
                None
            }
        }
    }

    async fn load<E, F>(&self, key: &str, load: impl FnOnce() -> F, keep: Keep) -> Result<Option<V>>
    where
        F: Future<Output = Result<Option<V>, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let loaded = load()
            .await
            .map_err(|error| Error::LoadFailed(Arc::from(error.into())))?;
        if keep != Keep::No {
            Box::pin(self.keep(key, loaded.as_ref(), keep)).await;
        }
        Ok(loaded)
    }

    fn refresh<E, F>(&self, key: &str, load: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        V: Send + Sync + 'static,
    {
        let Some(turn) = self.turns.take(key) else {
            return;
        };
        let (keyspace, key) = (self.clone(), key.to_owned());
        tokio::spawn(async move {
            let _turn = turn;
            let fresh = |age| age == Age::Fresh;
            let claim = keyspace.claimed(&key, false, fresh).await;
            let claim = match claim {
                Some(Claimed::Stored(_) | Claimed::Others) => return,
                Some(Claimed::Mine(claim)) => Some(claim),
                None => None,
            };
            if let Err(error) = keyspace.load(&key, load, Keep::InPlace).await {
                tracing::warn!(keyspace = keyspace.name, %error, "loading in the background failed");
                drop(claim);
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        });
    }

    fn stores(&self) -> bool {
        let contract = self.connection.contract();
        let spec = contract.keyspace(&self.name);
        self.is_enabled() && spec.is_ok_and(|spec| spec.writable)
    }

    /// Stores what was loaded, as far as that is possible and wanted.
    async fn keep(&self, key: &str, loaded: Option<&V>, keep: Keep) {
        let kept = async {
            if !self.stores() {
                return Ok(());
            }
            let command = match (loaded, self.rules.absent_for) {
                (Some(value), _) => self.store(key, value)?,
                (None, Some(ttl)) => self.store_absent(key, ttl),
                (None, None) if keep == Keep::InPlace => Command::new("UNLINK").arg(key),
                (None, None) => return Ok(()),
            };
            let stores = command.name() == "SET";
            let command = match keep {
                Keep::InPlace if stores => command.arg("XX"),
                _ => command,
            };
            let _changing = self.changing(&[key]);
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
