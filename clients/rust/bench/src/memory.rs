//! What calls of the client allocate, and what it holds, beside what people would take instead: `cargo xtask bench clients`.
//!
//! A program of its own: its allocator counts, which takes time, and more of it from whoever allocates more.

use std::alloc::System;
use std::time::Duration;

use cachebus_bench::emits::{self, Channel, DURABLE, LIVE, event};
use cachebus_bench::others::{self, Moka};
use cachebus_bench::place::{self, Place, SHARED, shared};
use cachebus_bench::reads::{held, nothing};
use cachebus_bench::report::{self, Figure, Row};
use cachebus_bench::summary::count;
use cachebus_bench::work::{Agent, FIRST_ID, VALUES, filled, read_by_hand, store_by_hand, there};
use clap::Parser;
use redis::aio::MultiplexedConnection;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Calls before those that are counted, and those.
const WARMING: usize = 300;
const CALLS: usize = 2_000;
/// What was dropped is gone after so long: connections end in tasks of their own.
const SETTLED: Duration = Duration::from_millis(100);

/// A part of `cargo xtask bench clients`.
#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    place: place::Options,
}

/// One thread: whatever is allocated meanwhile is the call's, in the tasks that drive its connection as well.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let place = Place::open(Options::parse().place)?;
    let mut figures = vec![connections(&place).await?, entries(&place).await?];
    figures.extend(reads(&place).await?);
    figures.extend(writes(&place).await?);
    figures.extend(of_memory(&place).await?);
    for channel in [Channel::of(LIVE, false), Channel::of(DURABLE, true)] {
        figures.extend(emissions(&place, channel).await?);
    }
    report::write(&figures)
}

/// What one call allocates, on average.
#[derive(Clone, Copy)]
struct Cost {
    allocations: f64,
    bytes: f64,
}

async fn cost(mut call: impl AsyncFnMut() -> anyhow::Result<()>) -> anyhow::Result<Cost> {
    for _ in 0..WARMING {
        call().await?;
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..CALLS {
        call().await?;
    }
    let change = region.change();
    let each = |number| count(number) / count(CALLS);
    Ok(Cost {
        allocations: each(change.allocations + change.reallocations),
        bytes: each(change.bytes_allocated),
    })
}

/// Number and bytes, ours first.
fn figures(what: &str, costs: &[(&str, Cost)]) -> [Figure; 2] {
    let figure = |name: String, unit, of: fn(&Cost) -> f64| Figure {
        name,
        unit,
        rows: compared(costs.iter().map(|(who, cost)| (*who, of(cost)))),
    };
    [
        figure(
            format!("{what}, allocations a call"),
            "allocations",
            |cost| cost.allocations,
        ),
        figure(format!("{what}, bytes allocated a call"), "bytes", |cost| {
            cost.bytes
        }),
    ]
}

/// Rows of values, of which the first is ours.
fn compared<'a>(values: impl Iterator<Item = (&'a str, f64)>) -> Vec<Row> {
    let mut ours = None;
    values
        .map(|(who, value)| {
            let ratio = ours.map(|ours: f64| ours / value);
            ours = ours.or(Some(value));
            Row {
                ratio,
                ..Row::new(who, value)
            }
        })
        .collect()
}

/// Bytes that are allocated now.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

/// What is held by something that `open` makes. What only the first of a kind makes does not count.
async fn holding<T>(mut open: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    drop(open().await?);
    tokio::time::sleep(SETTLED).await;
    let before = allocated();
    let held = open().await?;
    tokio::time::sleep(SETTLED).await;
    let bytes = allocated().saturating_sub(before);
    drop(held);
    tokio::time::sleep(SETTLED).await;
    Ok(count(bytes))
}

async fn connections(place: &Place) -> anyhow::Result<Figure> {
    let ours = holding(async || {
        let bus = place.bus()?;
        for _ in 0..SHARED {
            bus.ping().await?;
        }
        Ok(bus)
    })
    .await?;
    let raw = holding(async || place.raw().await).await?;
    let rows = [("cachebus, with its contract", ours), ("redis crate", raw)];
    Ok(Figure {
        name: format!("Rust: memory of a client with {SHARED} connections"),
        unit: "KiB",
        rows: compared(rows.map(|(who, bytes)| (who, bytes / 1024.0)).into_iter()),
    })
}

/// What a value takes that is held in memory, with its key.
async fn entries(place: &Place) -> anyhow::Result<Figure> {
    filled(&place.bus()?).await?;
    let near = held(place).await?;
    let moka = Moka::new(connection(place).await?);
    let before = allocated();
    for id in FIRST_ID..FIRST_ID + VALUES {
        there(near.get_or_load(id, nothing).await?)?;
    }
    let of_near = allocated().saturating_sub(before);
    let before = allocated();
    for id in FIRST_ID..FIRST_ID + VALUES {
        there(moka.get_or_load(id, nothing).await?)?;
    }
    let of_moka = allocated().saturating_sub(before);
    let values = count(usize::try_from(VALUES)?);
    let bytes = serde_json::to_vec(&Agent::new(FIRST_ID))?.len();
    let rows = [
        ("cachebus, near: as it is stored", of_near),
        ("moka: as the service uses it", of_moka),
    ];
    Ok(Figure {
        name: format!("Rust: memory of a value of {bytes} bytes that is held"),
        unit: "bytes",
        rows: compared(
            rows.map(|(who, bytes)| (who, count(bytes) / values))
                .into_iter(),
        ),
    })
}

async fn connection(place: &Place) -> anyhow::Result<MultiplexedConnection> {
    Ok(shared(&place.raw().await?, 0))
}

async fn reads(place: &Place) -> anyhow::Result<[Figure; 2]> {
    let agents = filled(&place.bus()?).await?;
    let mut raw = connection(place).await?;
    let deadpool = others::deadpool(place, 1)?;
    let get = cost(async || there(agents.get(FIRST_ID).await?).map(drop)).await?;
    let through =
        cost(async || there(agents.get_or_load(FIRST_ID, nothing).await?).map(drop)).await?;
    let by_hand = cost(async || there(read_by_hand(&mut raw, FIRST_ID).await?).map(drop)).await?;
    let of_deadpool = cost(async || {
        let mut connection = deadpool.get().await?;
        there(read_by_hand(&mut connection, FIRST_ID).await?).map(drop)
    })
    .await?;
    Ok(figures(
        "Rust: get",
        &[
            ("cachebus", get),
            ("cachebus, get_or_load", through),
            ("redis crate, decoded", by_hand),
            ("deadpool-redis, decoded", of_deadpool),
        ],
    ))
}

async fn writes(place: &Place) -> anyhow::Result<[Figure; 2]> {
    let agents = filled(&place.bus()?).await?;
    let mut raw = connection(place).await?;
    let agent = Agent::new(FIRST_ID);
    let set = cost(async || Ok(agents.set(FIRST_ID, &agent).await?)).await?;
    let by_hand = cost(async || store_by_hand(&mut raw, FIRST_ID, &agent).await).await?;
    Ok(figures(
        "Rust: set",
        &[("cachebus", set), ("redis crate, encoded", by_hand)],
    ))
}

async fn of_memory(place: &Place) -> anyhow::Result<[Figure; 2]> {
    let near = held(place).await?;
    let moka = Moka::new(connection(place).await?);
    let of_near =
        cost(async || there(near.get_or_load(FIRST_ID, nothing).await?).map(drop)).await?;
    let of_moka =
        cost(async || there(moka.get_or_load(FIRST_ID, nothing).await?).map(drop)).await?;
    Ok(figures(
        "Rust: read-through in memory",
        &[
            ("cachebus, near", of_near),
            ("moka and redis crate", of_moka),
        ],
    ))
}

async fn emissions(place: &Place, channel: Channel) -> anyhow::Result<[Figure; 2]> {
    let bus = place.bus()?;
    let mut raw = connection(place).await?;
    let ours = cost(async || {
        let event = event(&bus, channel.name(), FIRST_ID)?;
        bus.events().emit(&event).await?;
        Ok(())
    })
    .await?;
    let by_hand = cost(async || {
        let event = event(&bus, channel.name(), FIRST_ID)?;
        let pipeline = channel.same_commands(&event)?;
        Ok(pipeline.exec_async(&mut raw).await?)
    })
    .await?;
    Ok(figures(
        &format!("Rust: emit, {}", channel.kind()),
        &[("cachebus", ours), (emits::SAME_COMMANDS, by_hand)],
    ))
}
