//! `cachebus dev` with a real server. `CACHEBUS_TEST_SERVER` is the path of a `redis-server` or `valkey-server`; without it the one on `PATH`
//! is taken, and without that the tests fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod command;
mod contract;
mod file;
mod given;
mod program;
mod restart;
