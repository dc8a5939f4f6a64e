//! What a cache is for: most reads need no load, and no load is done twice at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use cachebus::{CacheBus, Metrics};
use futures::future::try_join_all;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;

use crate::others::Moka;
use crate::place::{Place, shared};
use crate::report::{Figure, Row};
use crate::summary::count;
use crate::work::{
    Agent, FIRST_ID, FIRST_ID_OF_ENGINE, KEYSPACE, VALUES, read_by_hand, remove_values,
    store_by_hand,
};
use crate::zipf::Zipf;

/// Ids that are asked for, the first far more often than the last.
const IDS: usize = 50_000;
/// How unevenly, as in YCSB.
const EXPONENT: f64 = 0.99;
/// Of a hundred values so many fit into the server.
const ROOM: u64 = 30;
/// Bytes of a value's instructions, of which it has 1 KiB then.
const BYTES: usize = 880;
/// Reads before those that count, and those.
const READS: usize = 100_000;
const AT_ONCE: usize = 32;
/// More than this part of the reads is to be answered by the cache.
const HITS: f64 = 0.8;

/// Reads that ask for one value at the same time.
const CALLERS: usize = 1000;
/// How long a load takes.
const LOAD: Duration = Duration::from_millis(50);

/// Counts reads.
#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Metrics for Counts {
    fn hit(&self, _: &str, values: u64) {
        self.hits.fetch_add(values, Ordering::Relaxed);
    }

    fn miss(&self, _: &str, values: u64) {
        self.misses.fetch_add(values, Ordering::Relaxed);
    }
}

impl Counts {
    /// The part of the reads since the last time that the cache answered.
    fn take(&self) -> f64 {
        let [hits, misses] =
            [&self.hits, &self.misses].map(|number| number.swap(0, Ordering::Relaxed));
        let [hits, misses] =
            [hits, misses].map(|number| count(usize::try_from(number).unwrap_or(usize::MAX)));
        hits / (hits + misses)
    }
}

/// The part of Zipf-like reads that need no load, where the server has room for part of the values.
pub async fn hit_ratio(place: &Place) -> anyhow::Result<Figure> {
    let mut admin = place.admin().await?;
    let counts = Arc::new(Counts::default());
    let bus = CacheBus::builder(place.source())
        .metrics(Arc::clone(&counts) as Arc<dyn Metrics>)
        .open()?;
    for first in [FIRST_ID, FIRST_ID_OF_ENGINE] {
        remove_values(&bus, first..first + VALUES).await?;
    }
    let limit = limit(&mut admin).await?;
    let empty = used(&mut admin).await?;
    let sample = FIRST_ID..FIRST_ID + 1000;
    for id in sample.clone() {
        let agents = bus.cache().keyspace::<Agent>(KEYSPACE)?;
        agents.set(id, &Agent::padded(id, BYTES)).await?;
    }
    let each = (used(&mut admin).await? - empty) / 1000;
    let room = empty + each * u64::try_from(IDS)? * ROOM / 100;
    set_limit(&mut admin, room).await?;
    let read = async {
        read_unevenly(&bus, 0).await?;
        counts.take();
        read_unevenly(&bus, 1).await
    };
    let read = read.await;
    set_limit(&mut admin, limit).await?;
    read?;
    let ratio = counts.take();
    remove_values(&bus, FIRST_ID..FIRST_ID + u64::try_from(IDS)?).await?;
    Ok(Figure {
        name: format!("Rust: Zipf-like reads of {IDS} values, room for {ROOM} % of them"),
        unit: "% hits",
        rows: vec![
            Row::new("cachebus, get_or_load", ratio * 100.0)
                .aiming(format!("> {:.0} %", HITS * 100.0), ratio > HITS),
        ],
    })
}

async fn read_unevenly(bus: &CacheBus, seed: u64) -> anyhow::Result<()> {
    let zipf = Arc::new(Zipf::new(IDS, EXPONENT));
    let agents = bus.cache().keyspace::<Agent>(KEYSPACE)?;
    let mut loops = JoinSet::new();
    for number in 0..AT_ONCE {
        let (zipf, agents) = (Arc::clone(&zipf), agents.clone());
        let seed = seed * 1000 + u64::try_from(number)?;
        loops.spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            for _ in 0..READS / AT_ONCE {
                let id = FIRST_ID + u64::try_from(zipf.draw(&mut random))?;
                let load = async || anyhow::Ok(Some(Agent::padded(id, BYTES)));
                agents.get_or_load(id, load).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    Ok(())
}

/// Bytes that the server's data take.
async fn used(admin: &mut MultiplexedConnection) -> anyhow::Result<u64> {
    loop {
        let info: String = redis::cmd("INFO").arg("memory").query_async(admin).await?;
        let figure = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.strip_prefix(':')?.trim().parse::<u64>().ok())
                .with_context(|| format!("the server does not tell {name}"))
        };
        // What was removed is freed by and by.
        if figure("lazyfree_pending_objects")? == 0 {
            return figure("used_memory");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn limit(admin: &mut MultiplexedConnection) -> anyhow::Result<u64> {
    let setting: BTreeMap<String, String> = redis::cmd("CONFIG")
        .arg(&["GET", "maxmemory"])
        .query_async(admin)
        .await?;
    let limit = setting.get("maxmemory").context("there is no maxmemory")?;
    Ok(limit.parse()?)
}

async fn set_limit(admin: &mut MultiplexedConnection, bytes: u64) -> anyhow::Result<()> {
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory"])
        .arg(bytes)
        .exec_async(admin)
        .await?;
    Ok(())
}

/// Loads by which many reads of a value that is missing are answered.
pub async fn loads(place: &Place) -> anyhow::Result<Figure> {
    let ours = place.bus()?.cache().keyspace::<Agent>(KEYSPACE)?;
    let raw = place.raw().await?;
    let moka = Moka::new(shared(&raw, 0));
    let missing = FIRST_ID + VALUES;
    let counted = AtomicUsize::new(0);
    let load = || async {
        counted.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(LOAD).await;
        anyhow::Ok(Some(Agent::new(missing)))
    };
    let loads = || count(counted.swap(0, Ordering::Relaxed));
    let by_hand = |number: usize| {
        let mut connection = shared(&raw, number);
        async move {
            if read_by_hand(&mut connection, missing).await?.is_none() {
                let loaded = load().await?;
                let agent = loaded.context("nothing was loaded")?;
                store_by_hand(&mut connection, missing, &agent).await?;
            }
            anyhow::Ok(())
        }
    };
    ours.delete(missing).await?;
    try_join_all((0..CALLERS).map(|_| ours.get_or_load(missing, load))).await?;
    let of_ours = loads();
    ours.delete(missing).await?;
    try_join_all((0..CALLERS).map(|_| moka.get_or_load(missing, load))).await?;
    let of_moka = loads();
    ours.delete(missing).await?;
    try_join_all((0..CALLERS).map(by_hand)).await?;
    let of_hand = loads();
    ours.delete(missing).await?;
    Ok(Figure {
        name: format!("Rust: {CALLERS} reads at once of a value that is missing"),
        unit: "loads",
        rows: vec![
            Row::new("cachebus, get_or_load", of_ours).aiming("1", of_ours <= 1.0),
            Row::new("moka and redis crate", of_moka),
            Row::new("redis crate, by hand", of_hand),
        ],
    })
}
