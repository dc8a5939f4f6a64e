//! The crate against a real server. `CACHEBUS_TEST_SERVER` is the path of a `redis-server` or `valkey-server`; without it the one on `PATH`
//! is taken, and without that the tests fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod acl;
mod certificates;
mod connecting;
mod functions;
mod process;
mod replication;
mod sentinel;
mod server;
mod streams;
mod tls;
mod wait;
