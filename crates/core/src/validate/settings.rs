//! Lengths of time, amounts, numbers and how they fit together.

use super::violation;
use crate::bus::Violation;
use cachebus_api::settings::{Durability, TlsMode};
use cachebus_api::{Bytes, CacheBusSpec, Duration};
use std::time;

const SECOND: u64 = 1;
const HOUR: u64 = 3_600;
const YEAR: u64 = 365 * 24 * HOUR;

pub(super) fn violations(spec: &CacheBusSpec) -> Vec<Violation> {
    let mut violations: Vec<Violation> =
        lengths(spec).iter().filter_map(Length::violation).collect();
    violations.extend(amounts(spec).iter().filter_map(Amount::violation));
    violations.extend(relations(spec));
    violations
}

/// A length of time in the spec and its bounds.
struct Length<'a> {
    path: String,
    value: &'a Duration,
    /// Seconds.
    least: u64,
    /// Seconds.
    most: u64,
    /// The engine takes seconds.
    whole_seconds: bool,
}

fn lengths(spec: &CacheBusSpec) -> Vec<Length<'_>> {
    let length = |path: String, value, least, most| Length {
        path,
        value,
        least,
        most,
        whole_seconds: false,
    };
    let seconds = |path: String, value, least, most| Length {
        whole_seconds: true,
        ..length(path, value, least, most)
    };
    let (connections, sentinel) = (&spec.connections, &spec.sentinel);
    let mut lengths = vec![
        length(
            "spec.sentinel.downAfter".to_owned(),
            &sentinel.down_after,
            SECOND,
            HOUR,
        ),
        length(
            "spec.sentinel.failoverTimeout".to_owned(),
            &sentinel.failover_timeout,
            SECOND,
            24 * HOUR,
        ),
        seconds(
            "spec.connections.timeout".to_owned(),
            &connections.timeout,
            0,
            YEAR,
        ),
        seconds(
            "spec.connections.tcpKeepalive".to_owned(),
            &connections.tcp_keepalive,
            0,
            YEAR,
        ),
        seconds(
            "spec.replication.maxLag".to_owned(),
            &spec.replication.max_lag,
            SECOND,
            HOUR,
        ),
    ];
    lengths.extend(spec.replication.fencing_window.iter().map(|window| {
        length(
            "spec.replication.fencingWindow".to_owned(),
            window,
            SECOND,
            HOUR,
        )
    }));
    lengths.extend(
        spec.persistence
            .rdb
            .iter()
            .enumerate()
            .map(|(index, rule)| {
                seconds(
                    format!("spec.persistence.rdb[{index}].after"),
                    &rule.after,
                    SECOND,
                    YEAR,
                )
            }),
    );
    lengths.extend(spec.cache.keyspaces.iter().map(|keyspace| {
        length(
            format!("spec.cache.keyspaces[{}].ttl", keyspace.name),
            &keyspace.ttl,
            SECOND,
            10 * YEAR,
        )
    }));
    lengths.extend(spec.events.channels.iter().map(|channel| {
        length(
            format!("spec.events.channels[{}].retention", channel.name),
            &channel.retention,
            SECOND,
            10 * YEAR,
        )
    }));
    lengths
}

impl Length<'_> {
    fn violation(&self) -> Option<Violation> {
        let bounds = time::Duration::from_secs(self.least)..=time::Duration::from_secs(self.most);
        let fits = self.value.get().is_some_and(|length| {
            bounds.contains(&length) && (!self.whole_seconds || length.subsec_millis() == 0)
        });
        (!fits).then(|| {
            let unit = if self.whole_seconds {
                "whole seconds"
            } else {
                "a duration"
            };
            violation(
                self.path.as_str(),
                "OutOfRange",
                format!(
                    "{:?} must be {unit} between {}s and {}s",
                    self.value.as_str(),
                    self.least,
                    self.most
                ),
            )
        })
    }
}

/// An amount of bytes in the spec and its least value.
struct Amount<'a> {
    path: &'static str,
    value: &'a Bytes,
    least: Bytes,
}

fn amounts(spec: &CacheBusSpec) -> Vec<Amount<'_>> {
    let optional = [
        (
            "spec.replication.backlogSize",
            &spec.replication.backlog_size,
            "1Mi",
        ),
        (
            "spec.resources.requests.memory",
            &spec.resources.requests.memory,
            "0",
        ),
        (
            "spec.resources.limits.memory",
            &spec.resources.limits.memory,
            "32Mi",
        ),
        (
            "spec.sentinel.resources.requests.memory",
            &spec.sentinel.resources.requests.memory,
            "0",
        ),
        (
            "spec.sentinel.resources.limits.memory",
            &spec.sentinel.resources.limits.memory,
            "32Mi",
        ),
    ];
    [
        ("spec.memory.max", &spec.memory.max, "16Mi"),
        ("spec.storage.size", &spec.storage.size, "1Mi"),
        (
            "spec.sentinel.storageSize",
            &spec.sentinel.storage_size,
            "1Mi",
        ),
    ]
    .into_iter()
    .chain(
        optional
            .into_iter()
            .filter_map(|(path, value, least)| Some((path, value.as_ref()?, least))),
    )
    .map(|(path, value, least)| Amount {
        path,
        value,
        least: Bytes::text(least),
    })
    .collect()
}

impl Amount<'_> {
    fn violation(&self) -> Option<Violation> {
        (self.value.get() < self.least.get()).then(|| {
            violation(
                self.path,
                "OutOfRange",
                format!(
                    "{:?} must be an amount of at least {}",
                    self.value.as_str(),
                    self.least.as_str()
                ),
            )
        })
    }
}

/// What one field says of another.
fn relations(spec: &CacheBusSpec) -> Vec<Violation> {
    let (sentinel, replication, tls) = (&spec.sentinel, &spec.replication, &spec.tls);
    let max = spec.memory.max.get();
    let over = |amount: Option<&Bytes>, bound: Option<u64>| {
        amount
            .and_then(Bytes::get)
            .zip(bound)
            .is_some_and(|(amount, bound)| amount > bound)
    };
    let memory_limit = spec.resources.limits.memory.as_ref();
    let persists = spec.persistence.aof != cachebus_api::persistence::Aof::Disabled
        || !spec.persistence.rdb.is_empty();
    let demanded = spec.min_replicas_to_write();
    [
        (
            sentinel.replicas < 3 || sentinel.replicas.is_multiple_of(2),
            "spec.sentinel.replicas",
            "must be odd and at least 3",
        ),
        (
            sentinel.failover_timeout.get() < sentinel.down_after.get(),
            "spec.sentinel.failoverTimeout",
            "must not be shorter than spec.sentinel.downAfter",
        ),
        (
            memory_limit.is_some_and(|limit| over(Some(&spec.memory.max), limit.get().map(|limit| limit / 5 * 4))),
            "spec.memory.max",
            "must not exceed 80 % of spec.resources.limits.memory: the rest is for buffers and forks",
        ),
        (
            over(replication.backlog_size.as_ref(), max.map(|max| max / 2)),
            "spec.replication.backlogSize",
            "must not exceed half of spec.memory.max: the engine counts it as used memory and evicts keys for it",
        ),
        (
            persists && over(Some(&spec.memory.max), spec.storage.size.get()),
            "spec.storage.size",
            "must be at least spec.memory.max while persistence is on",
        ),
        (
            demanded > spec.replicas,
            "spec.replication.minReplicasToWrite",
            "must not exceed spec.replicas: no write would ever be accepted",
        ),
        (
            demanded > 0 && replication.max_lag.get() > sentinel.down_after.get(),
            "spec.replication.maxLag",
            "must not exceed spec.sentinel.downAfter: an isolated primary would take writes after another was made primary",
        ),
        (
            replication.durability == Durability::Quorum && spec.replicas < 2,
            "spec.replication.durability",
            "Quorum needs at least 2 replicas: with fewer, the loss of one would leave no majority",
        ),
        (
            spec.hibernated && !persists,
            "spec.hibernated",
            "needs persistence: a bus that keeps nothing on its volumes would come back empty",
        ),
        (
            replication.fencing_window.as_ref().is_some_and(|window| window.get() > sentinel.down_after.get()),
            "spec.replication.fencingWindow",
            "must not exceed spec.sentinel.downAfter: an isolated primary would take writes after another was made primary",
        ),
        (
            tls.mode == TlsMode::Optional
                && (tls.plaintext_port == spec.port || tls.sentinel_plaintext_port == sentinel.port),
            "spec.tls",
            "in mode Optional the ports for plain text must differ from the ports for TLS",
        ),
    ]
    .into_iter()
    .filter(|(wrong, ..)| *wrong)
    .map(|(_, path, message)| violation(path, "OutOfRange", message))
    .collect()
}
