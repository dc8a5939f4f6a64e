//! From the spec to directives of the data nodes.

use super::directive::{normal, raw};
use super::ports::listeners;
use super::value::{Limits, merge};
use crate::bus::Bus;
use crate::names::{ACL_DIR, Component, DATA_DIR, REDIS_ACL, TLS_DIR};
use cachebus_api::persistence::Aof;
use cachebus_api::settings::{EvictionPolicy, TlsMode};
use cachebus_api::{Bytes, Duration};
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;

/// Every directive of the data nodes that is the same on all pods, with its value as `CONFIG GET` prints it. The agent adds
/// what differs between pods.
#[must_use]
pub fn settings(bus: &Bus) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = fixed()
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .chain(typed(bus))
        .chain(tls(bus))
        .chain([("aclfile", format!("{ACL_DIR}/{REDIS_ACL}"))])
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for (name, value) in &bus.spec.config {
        let name = name.to_ascii_lowercase();
        // While an older engine runs too, it would not start with what it does not know.
        if raw(&name).is_some_and(|directive| !directive.exists_in(bus.engine)) {
            continue;
        }
        let value = match name.as_str() {
            "client-output-buffer-limit" => output_buffer_limits(bus, Some(value)),
            _ => normal(&name, value),
        };
        all.insert(name, value);
    }
    all
}

/// What no bus changes, and defaults that `spec.config` may replace.
fn fixed() -> [(&'static str, &'static str); 25] {
    [
        ("acl-pubsub-default", "resetchannels"),
        ("appenddirname", "appendonlydir"),
        ("appendfilename", "appendonly.aof"),
        ("bind", "* -::*"),
        ("cluster-enabled", "no"),
        // A server that crashes would read all its memory first, or crash in that and stand still, and nobody would know.
        ("crash-memcheck-enabled", "no"),
        ("dbfilename", "dump.rdb"),
        ("dir", DATA_DIR),
        ("enable-debug-command", "no"),
        ("enable-module-command", "no"),
        ("enable-protected-configs", "no"),
        ("lazyfree-lazy-eviction", "yes"),
        ("lazyfree-lazy-expire", "yes"),
        ("lazyfree-lazy-server-del", "yes"),
        ("lazyfree-lazy-user-del", "yes"),
        ("lazyfree-lazy-user-flush", "yes"),
        // One client that asks and does not read would fill the memory that everybody's writes need.
        ("maxmemory-clients", "25%"),
        ("protected-mode", "yes"),
        ("repl-diskless-sync", "yes"),
        // Replicas of a bus come up together; each second of waiting for more of them is a second not in sync.
        ("repl-diskless-sync-delay", "0"),
        ("replica-lazy-flush", "yes"),
        ("replica-read-only", "yes"),
        ("replica-serve-stale-data", "yes"),
        ("tls-replication", "no"),
        ("tls-port", "0"),
    ]
}

fn typed(bus: &Bus) -> Vec<(&'static str, String)> {
    let spec = &bus.spec;
    let connections = &spec.connections;
    let replication = &spec.replication;
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    vec![
        ("appendfsync", fsync(spec.persistence.aof).to_owned()),
        ("appendonly", yes_no(spec.persistence.aof != Aof::Disabled)),
        (
            "client-output-buffer-limit",
            output_buffer_limits(bus, None),
        ),
        ("maxclients", connections.max_clients.to_string()),
        ("maxmemory", bytes(&spec.memory.max).to_string()),
        ("maxmemory-policy", policy(spec.memory.policy).to_owned()),
        (
            "min-replicas-max-lag",
            seconds(&replication.max_lag).to_string(),
        ),
        (
            "min-replicas-to-write",
            spec.min_replicas_to_write().to_string(),
        ),
        // What a replica was sent is no copy to come back with, where none is kept.
        (
            "rdb-del-sync-files",
            yes_no(spec.persistence.aof == Aof::Disabled && spec.persistence.rdb.is_empty()),
        ),
        ("repl-backlog-size", backlog_size(bus).to_string()),
        ("save", save(bus)),
        ("tcp-backlog", connections.tcp_backlog.to_string()),
        (
            "tcp-keepalive",
            seconds(&connections.tcp_keepalive).to_string(),
        ),
        ("timeout", seconds(&connections.timeout).to_string()),
    ]
}

fn tls(bus: &Bus) -> Vec<(&'static str, String)> {
    let (port, tls_port) = listeners(bus, Component::Redis);
    let mut directives = vec![
        ("port", port.to_string()),
        ("tls-port", tls_port.to_string()),
    ];
    if bus.spec.tls.mode != TlsMode::Disabled {
        directives.extend(certificates());
        directives.push(("tls-replication", "yes".to_owned()));
    }
    directives
}

/// Where a server finds its certificate. Clients prove themselves by password; a certificate is checked where one is shown.
pub(super) fn certificates() -> [(&'static str, String); 4] {
    [
        ("tls-auth-clients", "optional".to_owned()),
        ("tls-ca-cert-file", format!("{TLS_DIR}/ca.crt")),
        ("tls-cert-file", format!("{TLS_DIR}/tls.crt")),
        ("tls-key-file", format!("{TLS_DIR}/tls.key")),
    ]
}

/// The backlog counts towards `maxmemory`, so it must not fill a small one.
fn backlog_size(bus: &Bus) -> u64 {
    match &bus.spec.replication.backlog_size {
        Some(size) => bytes(size),
        None => (bytes(&bus.spec.memory.max) / 8).min(64 * MIB),
    }
}

fn save(bus: &Bus) -> String {
    let rules = bus.spec.persistence.rdb.iter();
    let rules: Vec<String> = rules
        .map(|rule| format!("{} {}", seconds(&rule.after), rule.changes))
        .collect();
    rules.join(" ")
}

/// A replica's buffer grows with the writes during its full synchronisation, and so with the dataset: an eighth of it, the
/// engines' own 256 MiB at least. The other classes keep the engines' defaults.
fn output_buffer_limits(bus: &Bus, wanted: Option<&str>) -> String {
    let hard = (bytes(&bus.spec.memory.max) / 8).max(256 * MIB);
    let soft = hard / 4;
    let base = format!("normal 0 0 0 replica {hard} {soft} 60 pubsub 32mb 8mb 60");
    let parse = |text: &str| Limits::parse(text).unwrap_or_default();
    merge(parse(&base), wanted.map(parse).unwrap_or_default()).to_string()
}

fn fsync(aof: Aof) -> &'static str {
    match aof {
        Aof::Always => "always",
        Aof::Everysec | Aof::Disabled => "everysec",
        Aof::Never => "no",
    }
}

fn policy(policy: EvictionPolicy) -> &'static str {
    match policy {
        EvictionPolicy::Noeviction => "noeviction",
        EvictionPolicy::AllkeysLru => "allkeys-lru",
        EvictionPolicy::AllkeysLfu => "allkeys-lfu",
        EvictionPolicy::AllkeysRandom => "allkeys-random",
        EvictionPolicy::VolatileLru => "volatile-lru",
        EvictionPolicy::VolatileLfu => "volatile-lfu",
        EvictionPolicy::VolatileRandom => "volatile-random",
        EvictionPolicy::VolatileTtl => "volatile-ttl",
    }
}

fn bytes(amount: &Bytes) -> u64 {
    amount.get().unwrap_or_default()
}

/// Whole seconds, rounded up: a fraction must not become 0, which to the engines means "never".
fn seconds(duration: &Duration) -> u64 {
    let duration = duration.get().unwrap_or_default();
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
