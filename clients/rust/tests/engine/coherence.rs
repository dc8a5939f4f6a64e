//! A random history of cached values, on servers of which now one leads and now another.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cachebus::{CacheBus, Event, Keyspace, Near, Settings, Source};
use fastrand::Rng;
use futures::future::join_all;
use serde_json::json;

use crate::bus::{SERVICE, contract};
use crate::pair::Pair;
use crate::process::Process;
use crate::seed::seed;
use crate::value_history::{
    Bounds, Changed, Committed, History, Moment, Moved, Read, Stored, Way, check,
};
use crate::wait::until;

/// The first changes all the time and the last now and then: of some values clients meet, and others grow old.
const KEYS: u64 = 6;

/// Each does two things at a time, and watches a value besides.
const WAYS: [Way; 5] = [
    Way::Server,
    Way::Tracked,
    Way::Tracked,
    Way::Events,
    Way::Events,
];

const BOUNDS: Bounds = Bounds {
    ttl: Duration::from_secs(3),
    staleness: Duration::from_millis(400),
    max_age: Duration::from_millis(700),
};

/// The user of clients that go by events; the service's own has the right to be told of changes.
const LISTENER: &str = "listener";

/// Reads before and after each failover.
const MANY: usize = 1_200;

/// Reads that come within some seconds.
const SOME: usize = 50;

/// How another server comes to lead.
#[derive(Clone, Copy)]
enum Failover {
    /// All is copied, and connections to the former primary are ended.
    Planned,
    /// It is gone, and with it what was written last.
    Crash,
    /// So it is, but its connections stay open for a while, and nothing answers.
    Silence,
}

struct Client {
    by: usize,
    way: Way,
    bus: CacheBus,
    agents: Keyspace<u64>,
}

impl Client {
    fn new(by: usize, way: Way, pair: &Pair) -> Self {
        let user = if way == Way::Events {
            LISTENER
        } else {
            SERVICE
        };
        // Some find out sooner than others that a server is silent.
        let patience = Duration::from_millis(if way == Way::Server { 300 } else { 2_000 });
        let mut settings = Settings::default();
        settings.connect_timeout = patience;
        settings.command_timeout = patience;
        settings.deadline = Duration::from_secs(30);
        let binding = Source::variables(pair.binding(user, &contract()));
        let bus = CacheBus::builder(binding).settings(settings);
        let bus = bus.open().unwrap();
        let agents = bus.cache().keyspace("agent").unwrap().ttl(BOUNDS.ttl);
        let near = Near::new(1 << 20).staleness(BOUNDS.staleness);
        let agents = match way {
            Way::Server => Ok(agents),
            // Longer than any value lasts.
            Way::Tracked => agents.near(near.max_age(Duration::from_mins(1))),
            Way::Events => agents.near(near.max_age(BOUNDS.max_age).invalidated_by(["agent"])),
        };
        Self {
            by,
            way,
            bus,
            agents: agents.unwrap(),
        }
    }

    fn event(&self, key: u64) -> Event {
        let event = self
            .bus
            .events()
            .event("agent:updated", &json!({"id": key}));
        event.unwrap()
    }
}

/// The database, and what is noted.
struct World {
    begun: Instant,
    versions: Mutex<HashMap<u64, u64>>,
    history: Mutex<History>,
    is_over: AtomicBool,
}

impl World {
    fn now(&self) -> Moment {
        self.begun.elapsed()
    }

    /// The database's version, and a moment at which it had it.
    fn read(&self, key: u64) -> (u64, Moment) {
        let versions = self.versions.lock().unwrap();
        (versions.get(&key).copied().unwrap_or(0), self.now())
    }

    /// Changes the database.
    fn commit(&self, key: u64) -> (u64, Moment) {
        let mut versions = self.versions.lock().unwrap();
        let version = versions.entry(key).or_default();
        *version += 1;
        let (version, at) = (*version, self.now());
        let committed = Committed { key, version, at };
        self.history.lock().unwrap().committed.push(committed);
        (version, at)
    }

    fn reads(&self, which: impl Fn(&Read) -> bool) -> usize {
        let history = self.history.lock().unwrap();
        history.read.iter().filter(|read| which(read)).count()
    }

    async fn goes_on(&self, reads: usize) {
        for _ in 0..reads / SOME {
            let enough = self.reads(|_| true) + SOME;
            until("clients go on", async || {
                (self.reads(|_| true) >= enough).then_some(())
            })
            .await;
        }
    }

    /// What one task of a client does until all is over.
    async fn live(&self, client: &Client, mut rng: Rng) {
        while !self.is_over.load(Ordering::Relaxed) {
            let key = rng.u64(0..KEYS);
            let below = rng.u64(0..=key);
            let changed = rng.u64(0..=below);
            match rng.u32(0..100) {
                0..5 => self.write_through(client, changed).await,
                5..10 => self.invalidate(client, changed).await,
                10..13 => self.delete(client, changed, true).await,
                13..15 => self.delete(client, changed, false).await,
                15..20 => self.mget(client, key).await,
                20..45 => self.get_or_load(client, key, &mut rng).await,
                _ => self.get(client, key).await,
            }
            tokio::time::sleep(Duration::from_millis(rng.u64(0..20))).await;
        }
    }

    /// What another task of it does: the value is in memory where there is a memory, and stays there for as long as it may.
    async fn watch(&self, client: &Client) {
        while !self.is_over.load(Ordering::Relaxed) {
            self.get(client, KEYS - 1).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn write_through(&self, client: &Client, key: u64) {
        let (version, since) = self.commit(key);
        let begun = self.now();
        let set = client.agents.set(key, &version).await;
        let done = set.is_ok().then(|| self.now());
        self.history.lock().unwrap().stored.push(Stored {
            key,
            version,
            since,
            done,
        });
        if let Some(done) = done {
            let told = self.tell(client, key).await;
            self.changed(client, key, Some(version), (begun, done), told);
        }
    }

    async fn invalidate(&self, client: &Client, key: u64) {
        self.commit(key);
        let begun = self.now();
        let event = client.event(key);
        let events = client.bus.events();
        if events
            .invalidate(&client.agents, [key], &event)
            .await
            .is_ok()
        {
            let done = self.now();
            self.changed(client, key, None, (begun, done), Some(done));
        }
    }

    async fn delete(&self, client: &Client, key: u64, tells: bool) {
        self.commit(key);
        let begun = self.now();
        if client.agents.delete(key).await.is_ok() {
            let done = self.now();
            let told = if tells {
                self.tell(client, key).await
            } else {
                None
            };
            self.changed(client, key, None, (begun, done), told);
        }
    }

    async fn tell(&self, client: &Client, key: u64) -> Option<Moment> {
        let emitted = client.bus.events().emit(&client.event(key)).await;
        emitted.is_ok().then(|| self.now())
    }

    fn changed(
        &self,
        client: &Client,
        key: u64,
        version: Option<u64>,
        (begun, done): (Moment, Moment),
        told: Option<Moment>,
    ) {
        self.history.lock().unwrap().changed.push(Changed {
            key,
            by: client.by,
            version,
            begun,
            done,
            told,
        });
    }

    async fn get(&self, client: &Client, key: u64) {
        let asked = self.now();
        if let Ok(Some(version)) = client.agents.get(key).await {
            self.has_read(client, (key, version), asked, client.way, false);
        }
    }

    /// Many are always read from the server.
    async fn mget(&self, client: &Client, key: u64) {
        let asked = self.now();
        if let Ok(versions) = client.agents.mget([key]).await {
            for version in versions.into_iter().flatten() {
                self.has_read(client, (key, version), asked, Way::Server, false);
            }
        }
    }

    async fn get_or_load(&self, client: &Client, key: u64, rng: &mut Rng) {
        let takes = Duration::from_millis(rng.u64(0..30));
        let loaded = Cell::new(None);
        let load = || async {
            let (version, since) = self.read(key);
            loaded.set(Some((version, since)));
            tokio::time::sleep(takes).await;
            Ok::<_, Infallible>(Some(version))
        };
        let asked = self.now();
        let answer = client.agents.get_or_load(key, load).await.unwrap();
        if let Some((version, since)) = loaded.get() {
            let done = Some(self.now());
            self.history.lock().unwrap().stored.push(Stored {
                key,
                version,
                since,
                done,
            });
        }
        let version = answer.expect("the database has a version of all");
        self.has_read(client, (key, version), asked, client.way, true);
    }

    fn has_read(
        &self,
        client: &Client,
        (key, version): (u64, u64),
        asked: Moment,
        way: Way,
        shared: bool,
    ) {
        let answered = self.now();
        self.history.lock().unwrap().read.push(Read {
            key,
            by: client.by,
            way,
            shared,
            version,
            asked,
            answered,
        });
    }

    async fn fail_over(&self, pair: &mut Pair, how: Failover, clients: &[Client]) {
        let begun = self.now();
        let moved = |loses| {
            let done = self.now();
            let moved = Moved { begun, done, loses };
            self.history.lock().unwrap().moved.push(moved);
        };
        match how {
            Failover::Planned => {
                pair.switch().await;
                pair.bid_farewell().await;
                moved(false);
            }
            Failover::Crash => {
                pair.part().await;
                self.goes_on(2 * SOME).await;
                pair.replace(Process::kill).await;
                moved(true);
                pair.gather().await;
            }
            Failover::Silence => {
                pair.part().await;
                self.goes_on(2 * SOME).await;
                let led = pair.replace(|leads| leads.freeze()).await;
                moved(true);
                for key in 0..KEYS {
                    self.write_through(&clients[0], key).await;
                }
                self.everybody_reads().await;
                drop(led);
                pair.gather().await;
            }
        }
    }

    async fn everybody_reads(&self) {
        let since = self.now();
        for by in 0..WAYS.len() {
            until("each client finds the new primary", async || {
                let reads = self.reads(|read| read.by == by && read.asked > since);
                (reads > SOME).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn no_answer_of_a_random_history_is_older_than_its_bound() {
    let mut rng = Rng::with_seed(seed());
    let mut pair = Pair::start(true).await;
    pair.admit(SERVICE, &["+client|tracking"]).await;
    pair.admit(LISTENER, &[]).await;
    let clients: Vec<_> = std::iter::zip(0.., WAYS)
        .map(|(by, way)| Client::new(by, way, &pair))
        .collect();
    let mut failovers = [Failover::Planned, Failover::Crash, Failover::Silence];
    rng.shuffle(&mut failovers);
    let world = World {
        begun: Instant::now(),
        versions: Mutex::default(),
        history: Mutex::default(),
        is_over: AtomicBool::new(false),
    };
    let twice = clients.iter().flat_map(|client| [client, client]);
    let lives = join_all(twice.map(|client| world.live(client, rng.fork())));
    let watches = join_all(clients.iter().map(|client| world.watch(client)));
    let happens = async {
        for failover in failovers {
            world.goes_on(MANY).await;
            world.fail_over(&mut pair, failover, &clients).await;
        }
        world.goes_on(MANY).await;
        world.is_over.store(true, Ordering::Relaxed);
    };
    futures::join!(lives, watches, happens);
    let verdict = check(&world.history.lock().unwrap(), BOUNDS);
    eprintln!("{:?}", verdict.reads);
    let (number, first) = (verdict.faults.len(), verdict.faults.first());
    assert_eq!(first, None, "the first of {number}");
    let ways: BTreeSet<_> = verdict.reads.into_keys().collect();
    assert_eq!(ways, BTreeSet::from(WAYS));
}
