//! How far a live server is from the spec.

use super::directive::{is_live, same};
use super::settings::settings;
use crate::bus::Bus;
use crate::render::memory_limit_of_data_nodes;
use std::collections::BTreeMap;

/// What differs on a running server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// To be set live: directive and value as `CONFIG SET` takes them.
    pub live: BTreeMap<String, String>,
    /// Directives that only a restart brings in.
    pub restart: Vec<String>,
}

/// Directives by which the nodes reach one another.
const TRANSPORT: [&str; 2] = ["tls-port", "tls-replication"];

/// Data grows into the container that it will have, not into the one that it has: the kernel would kill the server, and the
/// one that is started in its place.
const MAXMEMORY: &str = "maxmemory";

/// Whether the container has room for so much data: it has the limit that the spec comes to, or the data is to shrink.
fn fits(
    bus: &Bus,
    wanted: &str,
    live: &BTreeMap<String, String>,
    memory_limit: Option<u64>,
) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    // 0 means without bound.
    let live = live
        .get(MAXMEMORY)
        .and_then(|live| number(live))
        .filter(|live| *live > 0);
    let shrinks = live.is_none_or(|live| number(wanted).is_some_and(|wanted| wanted <= live));
    let has = memory_limit.unwrap_or(u64::MAX);
    shrinks || memory_limit_of_data_nodes(bus).is_none_or(|limit| limit <= has)
}

/// What differs between the spec and what a server reports. What the answer lacks is not compared: a
/// server that does not run yet has no drift.
///
/// `memory_limit`: of the container that it runs in, bytes, where that is known.
#[must_use]
pub fn drift(bus: &Bus, live: &BTreeMap<String, String>, memory_limit: Option<u64>) -> Drift {
    if live.is_empty() {
        return Drift::default();
    }
    let differing: BTreeMap<String, String> = settings(bus)
        .into_iter()
        .filter(|(name, desired)| {
            live.get(name)
                .is_some_and(|value| !same(name, desired, value))
        })
        .collect();
    // A node that changes alone between TLS and plain text is lost to its peers: that waits for a restart.
    let transport = TRANSPORT.iter().any(|name| differing.contains_key(*name));
    let mut drift = Drift::default();
    for (name, value) in differing {
        let moves_with_transport = transport && (name == "port" || name.starts_with("tls-"));
        let fits = name != MAXMEMORY || fits(bus, &value, live, memory_limit);
        if is_live(&name, bus.engine) && !moves_with_transport && fits {
            drift.live.insert(name, value);
        } else {
            drift.restart.push(name);
        }
    }
    drift
}
