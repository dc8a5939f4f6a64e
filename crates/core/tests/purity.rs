//! That Clippy sees what a pure crate must not do, however it is imported: where it does not, it refuses these expectations as unfulfilled.
#![allow(dead_code)]

use k8s_openapi::jiff;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::{collections, env, fs, net, process, thread, time};

#[expect(clippy::disallowed_types)]
type Unordered = collections::HashMap<u8, u8>;

#[expect(clippy::disallowed_types)]
type Socket = net::TcpStream;

#[expect(clippy::disallowed_types)]
type Program = process::Command;

#[expect(clippy::disallowed_types)]
type Clock = time::Instant;

#[expect(clippy::disallowed_methods)]
fn reads_a_file() -> bool {
    fs::read("/").is_ok()
}

#[expect(clippy::disallowed_methods)]
fn reads_the_environment() -> bool {
    env::var_os("HOME").is_some()
}

#[expect(clippy::disallowed_methods)]
fn resolves(name: &str) -> Vec<IpAddr> {
    let found = (name, 1).to_socket_addrs();
    found.into_iter().flatten().map(|at| at.ip()).collect()
}

#[expect(clippy::disallowed_methods)]
fn reads_a_clock() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[expect(clippy::disallowed_methods)]
fn starts_a_thread() {
    let _ = thread::spawn(|| ());
}
