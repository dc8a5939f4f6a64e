//! Values that are there: read by the client, and by whatever else.

use std::time::{Duration, Instant};

use anyhow::bail;
use cachebus::{Keyspace, Near};

use crate::others::{self, Moka};
use crate::place::{Place, shared};
use crate::report::Figure;
use crate::rounds::{Contender, Load, compare};
use crate::work::{Agent, FIRST_ID, Ids, KEYSPACE, VALUES, filled, key, read_by_hand, there};

/// What ours is to be of the plain client.
const AIM: f64 = 0.9;

/// Bytes that are held in memory at most, more than all values have.
const HELD_BYTES: usize = 64 << 20;

/// How often it is looked whether a value is held, and reads of each look: the first after a pause takes longer.
const LOOKS: usize = 500;
const READS: usize = 10;
/// No answer of a server is there so soon.
const AT_HAND: Duration = Duration::from_micros(15);

/// One read after the other, and many at once.
pub async fn gets(place: &Place, rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for at_once in [1, 50] {
        let contenders = getters(place, at_once).await?;
        let load = Load {
            at_once,
            slice: Duration::from_millis(300),
            rounds,
        };
        figures.push(Figure {
            name: format!("Rust: get, {at_once} at a time"),
            unit: "calls/s",
            rows: compare(&contenders, load).await?,
        });
    }
    Ok(figures)
}

async fn getters(place: &Place, at_once: usize) -> anyhow::Result<Vec<Contender>> {
    let agents = filled(&place.bus()?).await?;
    let raw = place.raw().await?;
    let bytes = raw.clone();
    let deadpool = others::deadpool(place, at_once)?;
    Ok(vec![
        Contender::looping("cachebus", move |number, mut clock| {
            let agents = agents.clone();
            async move {
                let mut ids = Ids::of_loop(number);
                while clock.begins() {
                    there(agents.get(ids.draw()).await?)?;
                    clock.ends();
                }
                Ok(clock)
            }
        }),
        Contender::looping("redis crate, decoded", move |number, mut clock| {
            let mut connection = shared(&raw, number);
            async move {
                let mut ids = Ids::of_loop(number);
                while clock.begins() {
                    there(read_by_hand(&mut connection, ids.draw()).await?)?;
                    clock.ends();
                }
                Ok(clock)
            }
        })
        .aim(AIM),
        Contender::looping("redis crate, bytes", move |number, mut clock| {
            let mut connection = shared(&bytes, number);
            async move {
                let mut ids = Ids::of_loop(number);
                while clock.begins() {
                    let stored: Option<Vec<u8>> = redis::cmd("GET")
                        .arg(key(ids.draw()))
                        .query_async(&mut connection)
                        .await?;
                    there(stored)?;
                    clock.ends();
                }
                Ok(clock)
            }
        }),
        Contender::looping("deadpool-redis, decoded", move |number, mut clock| {
            let deadpool = deadpool.clone();
            async move {
                let mut ids = Ids::of_loop(number);
                while clock.begins() {
                    let mut connection = deadpool.get().await?;
                    there(read_by_hand(&mut connection, ids.draw()).await?)?;
                    clock.ends();
                }
                Ok(clock)
            }
        }),
    ])
}

/// Reads with a loader that is not called: of the server, and of memory.
pub async fn read_through(place: &Place, rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let agents = filled(&place.bus()?).await?;
    let raw = place.raw().await?;
    let by_hand = raw.clone();
    let of_server = [
        Contender::looping("cachebus, get_or_load", move |number, mut clock| {
            let agents = agents.clone();
            async move {
                let mut ids = Ids::of_loop(number);
                while clock.begins() {
                    there(agents.get_or_load(ids.draw(), nothing).await?)?;
                    clock.ends();
                }
                Ok(clock)
            }
        }),
        Contender::looping("redis crate, by hand", move |number, mut clock| {
            let mut connection = shared(&by_hand, number);
            async move {
                let mut ids = Ids::of_loop(number);
                while clock.begins() {
                    there(read_by_hand(&mut connection, ids.draw()).await?)?;
                    clock.ends();
                }
                Ok(clock)
            }
        }),
    ];
    let load = Load {
        at_once: 50,
        slice: Duration::from_millis(300),
        rounds,
    };
    let of_server = Figure {
        name: "Rust: read-through, on the server, 50 at a time".to_owned(),
        unit: "calls/s",
        rows: compare(&of_server, load).await?,
    };
    let of_memory = Figure {
        name: "Rust: read-through, in memory, 1 at a time".to_owned(),
        unit: "calls/s",
        rows: compare(
            &holders(place, Moka::new(shared(&raw, 0))).await?,
            Load { at_once: 1, ..load },
        )
        .await?,
    };
    Ok(vec![of_server, of_memory])
}

/// Both hold all values when they begin.
async fn holders(place: &Place, moka: Moka) -> anyhow::Result<Vec<Contender>> {
    let near = held(place).await?;
    for id in FIRST_ID..FIRST_ID + VALUES {
        there(near.get_or_load(id, nothing).await?)?;
        there(moka.get_or_load(id, nothing).await?)?;
    }
    Ok(vec![
        Contender::looping("cachebus, near", move |number, mut clock| {
            let near = near.clone();
            async move {
                let mut ids = Ids::of_loop(number);
                while clock.begins() {
                    there(near.get_or_load(ids.draw(), nothing).await?)?;
                    clock.ends();
                }
                Ok(clock)
            }
        }),
        Contender::looping("moka and redis crate", move |number, mut clock| {
            let moka = moka.clone();
            async move {
                let mut ids = Ids::of_loop(number);
                while clock.begins() {
                    there(moka.get_or_load(ids.draw(), nothing).await?)?;
                    clock.ends();
                }
                Ok(clock)
            }
        }),
    ])
}

/// A keyspace that holds values in memory, once it does.
pub async fn held(place: &Place) -> anyhow::Result<Keyspace<Agent>> {
    let near = Near::new(HELD_BYTES).invalidated_by([KEYSPACE]);
    let near = place
        .bus()?
        .cache()
        .keyspace::<Agent>(KEYSPACE)?
        .near(near)?;
    // Its connection is made with the first read; a read that is not answered by memory takes a round trip.
    for _ in 0..LOOKS {
        for _ in 0..READS {
            let begun = Instant::now();
            there(near.get(FIRST_ID).await?)?;
            if begun.elapsed() < AT_HAND {
                return Ok(near);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("nothing is held in memory")
}

/// A loader that is not to be called.
pub async fn nothing() -> anyhow::Result<Option<Agent>> {
    bail!("a value is not there, and is loaded")
}
