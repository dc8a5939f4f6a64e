//! Whole agents in this process, each with a real server on a free port.
//!
//! Needs an engine on `PATH`: the one that `CACHEBUS_TEST_SERVER` names (`valkey-server`), or else `redis-server`; and the
//! command-line client that comes with it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bus;
mod certificates;
mod changes;
mod data;
mod demotion;
mod engine;
mod fence;
mod follow;
mod http;
mod operator_port;
mod pod;
mod sentinel;
mod switches;
