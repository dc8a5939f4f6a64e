//! Whole agents in this process, each with a real server on a free port.
//!
//! Needs an engine on `PATH`: the one that `CACHEBUS_TEST_SERVER` names (`valkey-server`), or else `redis-server`; and the
//! command-line client that comes with it. A bus of several pods needs their names in `/etc/hosts`: those that `cargo xtask
//! test` writes into the engine's container.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

mod bus;
mod certificates;
mod changes;
mod data;
mod demotion;
mod electorate;
mod engine;
mod fence;
mod flush;
mod follow;
mod handover;
mod http;
mod library;
mod operator_port;
mod pod;
mod replay;
mod running;
mod sentinel;
mod spoilt;
mod streams;
mod switches;
mod writers;
