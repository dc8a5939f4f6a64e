//! What the client costs, beside what people would take instead, on a bus that `cachebus dev` serves. `cargo xtask bench clients` sets it
//! up and prints what the programs `cachebus-bench` (time) and `cachebus-bench-memory` (allocations and memory) have measured.
//!
//! Whatever is compared is played in turn, round by round, by the same kind of connections: a machine that is slow for a while is slow
//! for all.

pub mod backlogs;
pub mod certificates;
pub mod emits;
pub mod engine;
pub mod handlers;
pub mod mixed;
pub mod others;
pub mod place;
pub mod reads;
pub mod report;
pub mod rounds;
pub mod summary;
pub mod work;
pub mod workload;
pub mod zipf;
