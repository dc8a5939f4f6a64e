//! The client against a real server. `CACHEBUS_TEST_SERVER` is the path of a `redis-server` or `valkey-server`; without it the one on `PATH`
//! is taken, and without that the tests fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bus;
mod cache;
#[cfg(feature = "macros")]
mod cached;
mod certificates;
mod claims;
mod connection;
mod consume;
mod counted;
mod events;
mod loading;
mod locks;
mod mounted;
mod near;
mod process;
mod reload;
mod switchover;
mod wait;
mod warming;
