//! Of all processes one loads a value: it holds a lock meanwhile, and the others wait for what it stores.

use std::time::Duration;

use redis::Value;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use uuid::Uuid;

use super::freshness::Age;
use super::keyspace::Keyspace;
use super::values::{Found, Held, held, with_life};
use crate::calls;
use crate::command::Command;
use crate::connection::{Connection, Repeat, parsed};
use crate::contract::Contract;
use crate::error::{Error, Result};

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Where a keyspace's loads are claimed.
#[derive(Clone)]
pub(super) struct Claims {
    /// The keyspace of locks.
    locks: String,
    /// How long others wait for the value.
    wait: Duration,
}

/// Who is to load.
pub(super) enum Claimed<V> {
    /// This process.
    Mine(Claim),
    /// Nobody: what is there is good.
    Stored(Option<V>),
    /// Another process, and it takes longer than is waited.
    Others,
}

/// A load that others wait for. Dropped, it is theirs.
pub(super) struct Claim {
    connection: Connection,
    lock: String,
    token: String,
}

impl Claims {
    /// [`Error::Contract`] where the service does not hold such locks.
    pub(super) fn new(contract: &Contract, locks: &str, wait: Duration) -> Result<Self> {
        let spec = contract.keyspace(locks)?;
        if !spec.lock || !spec.writable || spec.template.placeholders().count() != 1 {
            return Err(Error::Contract(format!(
                "{locks} is no keyspace of locks with one placeholder that the service may write"
            )));
        }
        Ok(Self {
            locks: locks.to_owned(),
            wait,
        })
    }
}

impl<V: DeserializeOwned> Keyspace<V> {
    /// Claims a load, or waits for the value. What `good` says is good needs no load.
    pub(super) async fn claim(
        &self,
        claims: &Claims,
        key: &str,
        waits: bool,
        good: impl Fn(Age) -> bool,
    ) -> Result<Claimed<V>> {
        let contract = self.connection.contract();
        let spec = contract.keyspace(&claims.locks)?;
        let lock = spec.template.key(resource(key))?;
        let token = Uuid::new_v4().simple().to_string();
        let lifetime = u64::try_from(spec.ttl.as_millis()).unwrap_or(u64::MAX);
        let wait = if waits { claims.wait } else { Duration::ZERO };
        let until = Instant::now() + wait;
        let mut pause = SHORTEST_PAUSE;
        loop {
            // `GET` tells a repetition that the lock is its own.
            let set = Command::new("SET").arg(&lock).arg(&token);
            let set = set.arg("NX").arg("GET").arg("PX").arg(lifetime);
            let mut commands = vec![set];
            commands.extend(with_life(key));
            let replies = self.connection.pipeline_briefly(commands).await?;
            let mut replies = replies.into_iter();
            let holder = replies.next().unwrap_or(Value::Nil);
            let holder: Option<String> = parsed("SET", holder)?;
            let claim = holder.is_none_or(|holder| holder == token).then(|| Claim {
                connection: self.connection.clone(),
                lock: lock.clone(),
                token: token.clone(),
            });
            if let Some(stored) = self.good(&held(replies)?, &good)? {
                return Ok(stored);
            }
            if let Some(claim) = claim {
                return Ok(Claimed::Mine(claim));
            }
            let next = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
            if Instant::now() + next >= until {
                return Ok(Claimed::Others);
            }
            tokio::time::sleep(next).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What answers without a load.
    fn good(&self, held: &Held<Vec<u8>>, good: impl Fn(Age) -> bool) -> Result<Option<Claimed<V>>> {
        let remembers = self.rules.absent_for.is_some();
        let ttl = self.time_to_live()?;
        Ok(match held.found() {
            Ok(Some((Found::Value(value), left))) => {
                let age = self.rules.freshness.age(left, ttl, 1.0);
                good(age).then_some(Claimed::Stored(Some(value)))
            }
            Ok(Some((Found::Absent, _))) if remembers => Some(Claimed::Stored(None)),
            // What others have stored in another form is to be replaced.
            Ok(_) | Err(Error::ValueInvalid(_)) => None,
            Err(error) => return Err(error),
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let connection = self.connection.clone();
        let unlock = calls::unlock(&self.lock, &self.token);
        runtime.spawn(async move {
            if let Err(error) = connection.call::<Value>(unlock, Repeat::Safe).await {
                tracing::warn!(%error, "the lock of a load could not be released and will run out");
            }
        });
    }
}

/// A key as the one part of another.
pub(super) fn resource(key: &str) -> String {
    key.replace('%', "%25").replace(':', "%3A")
}
