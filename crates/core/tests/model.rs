//! A model check of everything that decides who leads: the operator's plan, the agents' seal and their fence, all the real ones,
//! in a small world of data nodes, Sentinels, a store with compare-and-swap, and two operators that see late and in part, stall,
//! and die between two steps.
//!
//! Each history is one seed: a while of faults, then none, and the bus must heal. `CACHEBUS_MODEL_HISTORIES` is the number of
//! histories, `CACHEBUS_MODEL_SEED` runs one alone and prints what happens in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]
// What befalls a node is independent of all else that does.
#![allow(clippy::struct_excessive_bools)]
// What is checked is pure; who checks it takes seeds from the environment, and every core.
#![allow(clippy::disallowed_methods)]

#[path = "model/claims.rs"]
mod claims;
mod common;
#[path = "model/data_node.rs"]
mod data_node;
#[path = "model/failover.rs"]
mod failover;
#[path = "model/faults.rs"]
mod faults;
#[path = "model/guard.rs"]
mod guard;
#[path = "model/handover.rs"]
mod handover;
#[path = "model/operator.rs"]
mod operator;
#[path = "model/replication.rs"]
mod replication;
#[path = "model/rng.rs"]
mod rng;
#[path = "model/sentinel.rs"]
mod sentinel;
#[path = "model/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use world::World;

const HISTORIES: u64 = 10_000;
/// Failed histories after which no more are lived.
const ENOUGH: usize = 10;
/// Histories after which one that watches hears how far it is.
const PROGRESS: u64 = 50_000;

#[test]
fn no_history_makes_a_second_primary_or_loses_data_and_every_history_heals() {
    if let Some(seed) = number("CACHEBUS_MODEL_SEED") {
        World::new(seed, true).live();
        return;
    }
    let histories = number("CACHEBUS_MODEL_HISTORIES").unwrap_or(HISTORIES);
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= histories || failed.lock().unwrap().len() >= ENOUGH {
                        return;
                    }
                    if seed > 0 && seed.is_multiple_of(PROGRESS) {
                        eprintln!("{seed} histories begun");
                    }
                    let live = AssertUnwindSafe(|| World::new(seed, false).live());
                    if catch_unwind(live).is_err() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} histories fail; CACHEBUS_MODEL_SEED shows one: {failed:?}",
        failed.len()
    );
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
