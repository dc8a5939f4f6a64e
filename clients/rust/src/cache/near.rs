//! Values near at hand: in the memory of this process, as long as they are surely those of the server.

mod entries;

use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::time::Duration;

use redis::{PushInfo, PushKind, Value};
use tokio::time::Instant;

use crate::command::Command;
use crate::connection::{Connection, Link, checked};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::keys::{Part, Parts, Template};

use super::values::{Held, held, with_life};
use entries::{Entries, Kept};

/// How often within the bound the server is asked whether it has more to tell.
const BEATS: u32 = 4;

/// The longest time between two questions, and until the next attempt after one that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// The same after an attempt that the service's rights do not allow.
const PAUSE_WITHOUT_RIGHTS: Duration = Duration::from_secs(30);

/// What [`Keyspace::near`](super::Keyspace::near) holds in the memory of this process.
///
/// Of every value that it holds the server is to tell when it changes: by **client tracking**, which covers whatever changes it, or, where
/// the service lacks the right to that (`+client|tracking`, not granted by default), by the **events** of [`Near::invalidated_by`], which
/// cover those who emit them. Where there is neither, nothing is held.
///
/// ```no_run
/// # fn example(bus: cachebus::CacheBus) -> cachebus::Result<()> {
/// use cachebus::Near;
///
/// let near = Near::new(64 << 20).invalidated_by(["agent"]);
/// let agents = bus.cache().keyspace::<String>("agent")?.near(near)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Near {
    max_bytes: usize,
    staleness: Duration,
    max_age: Duration,
    channels: Vec<String>,
}

impl Near {
    /// At most so many bytes of keys and stored values (as they are encoded).
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            staleness: Duration::from_secs(2),
            max_age: Duration::from_secs(30),
            channels: Vec::new(),
        }
    }

    /// No answer is older than this where the server was to tell of the change: it is asked four times within it, and once a second at least, whether it
    /// has told all, and while it does not say so values are read from it again. Default 2 s.
    pub fn staleness(mut self, bound: Duration) -> Self {
        self.staleness = bound.max(Duration::from_millis(1));
        self
    }

    /// No value is held for longer than this, whoever changes it. Default 30 s.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Without the right to client tracking, values are dropped at events of these channels: a channel or a group, as for
    /// [`EventBus::subscribe`](crate::EventBus::subscribe). An event whose data has all placeholders of the keyspace's key as its fields
    /// (`{"id": 7}` for `agent:{id}`) means one value, any other the whole keyspace.
    pub fn invalidated_by<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.channels.extend(names.into_iter().map(Into::into));
        self
    }
}

/// The near cache of a keyspace. It takes one connection, on which it reads and hears of changes: in the server's order, so that what was
/// read before a change is known to be.
pub(super) struct NearCache {
    keyspace: String,
    connection: Connection,
    rules: Near,
    state: Mutex<State>,
    begun: Once,
}

struct State {
    entries: Entries,
    link: Option<Arc<Link>>,
    /// Rises with each connection.
    epoch: u64,
    /// All changes before this moment have been heard of.
    confirmed: Instant,
}

impl NearCache {
    /// [`Error::Contract`] where the service does not subscribe to the channels.
    pub(super) fn new(keyspace: &str, connection: Connection, rules: Near) -> Result<Arc<Self>> {
        for name in &rules.channels {
            connection.contract().subscribed(name)?;
        }
        Ok(Arc::new(Self {
            keyspace: keyspace.to_owned(),
            connection,
            state: Mutex::new(State {
                entries: Entries::new(rules.max_bytes),
                link: None,
                epoch: 0,
                confirmed: Instant::now(),
            }),
            rules,
            begun: Once::new(),
        }))
    }

    /// What is held, or was read to be held. `None`: at the moment this cache can do neither.
    pub(super) async fn look_up(self: &Arc<Self>, key: &str) -> Option<Result<Held>> {
        self.begun.call_once(|| {
            tokio::spawn(keep(Arc::downgrade(self)));
        });
        match self.seek(key)? {
            Sought::Held(held) => Some(Ok(held)),
            Sought::Missing(read) => Box::pin(self.read(key, read)).await,
        }
    }

    async fn read(&self, key: &str, read: Read<'_>) -> Option<Result<Held>> {
        let patience = self.connection.settings().command_timeout;
        let commands = with_life(key);
        let Ok(replies) = read.link.ask_all(&commands, patience).await else {
            self.lose(read.epoch);
            return (read.asked.elapsed() >= patience)
                .then(|| Err(Error::Unavailable("GET: no answer".to_owned())));
        };
        // What a server refuses is asked for again where its errors are dealt with.
        let [data, life] = <[Value; 2]>::try_from(replies).ok()?;
        let data = checked("GET", data).ok()?;
        let life = checked("PTTL", life).ok()?;
        let held = held([data, life]).ok()?.shared();
        if let Some(data) = &held.data {
            read.fill(Arc::clone(data), held.left);
        }
        Some(Ok(held))
    }

    /// Values are about to be changed by this process: what is held of them goes when that is done, or given up.
    pub(super) fn changing(&self, keys: Vec<String>) -> Changing<'_> {
        Changing { near: self, keys }
    }

    pub(super) fn clear(&self) {
        self.state().entries.clear();
    }

    fn seek(&self, key: &str) -> Option<Sought<'_>> {
        let now = Instant::now();
        let mut state = self.state();
        let link = Arc::clone(state.link.as_ref()?);
        if link.generation() != self.connection.generation() {
            return None;
        }
        let is_certain = now.duration_since(state.confirmed) < self.rules.staleness;
        if is_certain && let Some(kept) = state.entries.get(key, now) {
            return Some(Sought::Held(Held {
                data: Some(kept.data),
                left: kept.ends.map(|ends| ends.duration_since(now)),
            }));
        }
        Some(Sought::Missing(Read {
            near: self,
            key: key.to_owned(),
            number: state.entries.expect(key),
            link,
            epoch: state.epoch,
            asked: now,
        }))
    }

    /// Sees to the connection, and asks whether all has been told.
    async fn beat(self: &Arc<Self>) -> Result<()> {
        let (link, epoch) = {
            let state = self.state();
            (state.link.clone(), state.epoch)
        };
        let Some(link) =
            link.filter(|link| link.is_open() && link.generation() == self.connection.generation())
        else {
            self.lose(epoch);
            return self.connect().await;
        };
        let asked = Instant::now();
        let patience = self.connection.settings().command_timeout;
        let answer = link.ask(&Command::new("PING"), patience).await;
        if answer.is_err() {
            self.lose(epoch);
            return Err(Error::Unavailable("PING: no answer".to_owned()));
        }
        let mut state = self.state();
        if state.epoch == epoch {
            state.confirmed = asked;
        }
        Ok(())
    }

    async fn connect(self: &Arc<Self>) -> Result<()> {
        let epoch = {
            let mut state = self.state();
            state.epoch += 1;
            state.epoch
        };
        let near = Arc::downgrade(self);
        let hear = move |push| {
            if let Some(near) = near.upgrade() {
                near.heard(epoch, &push);
            }
        };
        let link = self.connection.hearing(hear).await?;
        let patience = self.connection.settings().command_timeout;
        let tracking = Command::new("CLIENT").arg("TRACKING").arg("ON");
        let asked = Instant::now();
        let reply = link.ask(&tracking, patience).await;
        let reply = reply.map_err(|_| Error::Unavailable("CLIENT: no answer".to_owned()))?;
        match checked("CLIENT", reply) {
            Ok(_) => {}
            Err(Error::Denied { .. }) if !self.rules.channels.is_empty() => {
                link.subscribe(&self.channels()?, patience).await?;
            }
            Err(error) => return Err(error),
        }
        let mut state = self.state();
        state.entries.clear();
        state.confirmed = asked;
        state.link = Some(Arc::new(link));
        Ok(())
    }

    fn channels(&self) -> Result<Vec<String>> {
        let contract = self.connection.contract();
        let mut channels = Vec::new();
        for name in &self.rules.channels {
            let specs = contract.subscribed(name)?;
            channels.extend(specs.into_iter().map(|spec| spec.channel.clone()));
        }
        Ok(channels)
    }

    /// Called where the connection is read: what came before on it has been dealt with, what comes after has not.
    fn heard(&self, epoch: u64, push: &PushInfo) {
        match push.kind {
            PushKind::Invalidate => self.told(push.data.first()),
            PushKind::Message => self.happened(push.data.last()),
            PushKind::Disconnection => self.lose(epoch),
            _ => {}
        }
    }

    /// Keys that have changed; nothing: all of them (`FLUSHALL`).
    fn told(&self, keys: Option<&Value>) {
        let mut state = self.state();
        match keys {
            Some(Value::Array(keys)) => {
                for key in keys {
                    match key {
                        Value::BulkString(key) => {
                            state.entries.forget(&String::from_utf8_lossy(key));
                        }
                        _ => state.entries.clear(),
                    }
                }
            }
            _ => state.entries.clear(),
        }
    }

    fn happened(&self, envelope: Option<&Value>) {
        let contract = self.connection.contract();
        let key = match (envelope, contract.keyspace(&self.keyspace)) {
            (Some(Value::BulkString(envelope)), Ok(spec)) => Event::decode(envelope)
                .ok()
                .and_then(|event| key_of(&event, &spec.template)),
            _ => None,
        };
        let mut state = self.state();
        match key {
            Some(key) => state.entries.forget(&key),
            None => state.entries.clear(),
        }
    }

    /// Nobody tells of changes any more.
    fn lose(&self, epoch: u64) {
        let mut state = self.state();
        let mut lost = None;
        if state.epoch == epoch {
            lost = state.link.take();
            state.entries.clear();
        }
        // What is still read of it is told by the same lock.
        drop(state);
        drop(lost);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Sought<'a> {
    Held(Held),
    Missing(Read<'a>),
}

/// A change that is on its way.
pub(crate) struct Changing<'a> {
    near: &'a NearCache,
    keys: Vec<String>,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let mut state = self.near.state();
        for key in &self.keys {
            state.entries.forget(key);
        }
    }
}

/// A read that is on its way.
struct Read<'a> {
    near: &'a NearCache,
    key: String,
    number: u64,
    link: Arc<Link>,
    epoch: u64,
    asked: Instant,
}

impl Read<'_> {
    fn fill(&self, data: Arc<[u8]>, left: Option<Duration>) {
        let kept = Kept {
            data,
            ends: left.and_then(|left| self.asked.checked_add(left)),
            until: self.asked + self.near.rules.max_age,
        };
        let mut state = self.near.state();
        state.entries.fill(&self.key, self.number, kept);
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        self.near.state().entries.give_up(&self.key, self.number);
    }
}

/// Looks after a near cache as long as there is one.
async fn keep(near: Weak<NearCache>) {
    let mut failing = false;
    loop {
        let Some(cache) = near.upgrade() else {
            return;
        };
        let pause = match cache.beat().await {
            Ok(()) => {
                failing = false;
                (cache.rules.staleness / BEATS).min(PAUSE)
            }
            Err(error) => {
                if !failing {
                    let keyspace = &cache.keyspace;
                    tracing::warn!(keyspace, %error, "nothing is held near: values are read from the server");
                }
                failing = true;
                match error {
                    Error::Denied { .. } | Error::Contract(_) => PAUSE_WITHOUT_RIGHTS,
                    _ => PAUSE,
                }
            }
        };
        drop(cache);
        tokio::time::sleep(pause).await;
    }
}

/// The value that an event means; `None`: it does not say which.
pub(super) fn key_of(event: &Event, template: &Template) -> Option<String> {
    let data: serde_json::Map<String, serde_json::Value> = event.data().ok()?;
    let mut parts = Parts::from(());
    for name in template.placeholders() {
        let part: Part = match data.get(name)? {
            serde_json::Value::String(text) => text.into(),
            serde_json::Value::Number(number) => number.to_string().into(),
            _ => return None,
        };
        parts = parts.and(name.to_owned(), part);
    }
    template.key(parts).ok()
}
