//! The client against a real server. `CACHEBUS_TEST_SERVER` is the path of a `redis-server` or `valkey-server`; without it the one on `PATH`
//! is taken, and without that the tests fail. Those of the outbox also take the PostgreSQL whose programs are in the folder
//! `CACHEBUS_TEST_POSTGRES`; without it they say so and test nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod backlog;
mod bus;
mod cache;
#[cfg(feature = "macros")]
mod cached;
mod certificates;
mod claims;
mod coherence;
mod concurrent;
mod connection;
mod consistency;
mod consume;
mod conversations;
mod counted;
mod events;
mod holders;
mod loading;
mod lock_history;
mod locks;
mod mounted;
mod near;
#[cfg(feature = "outbox")]
mod outbox;
mod pair;
mod paused_holders;
#[cfg(feature = "outbox")]
mod postgres;
mod process;
mod reload;
mod seed;
mod spans;
mod switched_off;
mod switchover;
mod value_history;
mod wait;
mod warming;
