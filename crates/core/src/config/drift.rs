//! How far a live server is from the spec.

use super::directive::{is_live, same};
use super::settings::settings;
use crate::bus::Bus;
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

/// What differs between the spec and what a server reports. What the answer lacks is not compared: a
/// server that does not run yet has no drift.
#[must_use]
pub fn drift(bus: &Bus, live: &BTreeMap<String, String>) -> Drift {
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
        if is_live(&name, bus.engine) && !moves_with_transport {
            drift.live.insert(name, value);
        } else {
            drift.restart.push(name);
        }
    }
    drift
}
