//! Whole agents in this process, each with a real server on a free port.
//!
//! Needs `redis-server` and `redis-cli` on `PATH`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bus;
mod certificates;
mod data;
mod follow;
mod http;
mod operator_port;
mod pod;
mod sentinel;
