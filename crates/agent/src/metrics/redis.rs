//! Figures of a data node, from `INFO`.
//!
//! The names without prefix `cachebus_` are those that existing dashboards and alerts for Redis expect, and those of the bus's
//! own contract.

mod table;

use super::agent::flag;
use super::page::{Kind, Labels, Page};
use std::collections::BTreeMap;
use std::fmt;
use table::{FIELDS, Unit};

/// Commands with figures of their own: those called most.
pub(super) const MOST_COMMANDS: usize = 100;

type Info = BTreeMap<String, String>;

pub(super) fn encode(page: &mut Page<'_>, info: &Info) -> Result<(), fmt::Error> {
    page.one(
        Kind::Gauge,
        "redis_up",
        "Whether the server answers",
        flag(!info.is_empty()),
    )?;
    if info.is_empty() {
        return Ok(());
    }
    for field in FIELDS {
        if let Some(value) = info
            .get(field.info)
            .and_then(|text| field.unit.figure(text))
        {
            page.one(field.kind, field.name, field.help, value)?;
        }
    }
    if let Some(ratio) = hit_ratio(info) {
        page.one(
            Kind::Gauge,
            "cache_hit_ratio",
            "Share of lookups that found their key, since the server started",
            ratio,
        )?;
    }
    page.each(
        Kind::Gauge,
        "redis_instance_info",
        "What the server is",
        [(instance(info), 1.0)],
    )?;
    databases(page, info)?;
    commands(page, info)?;
    replicas(page, info)
}

fn number(info: &Info, field: &str) -> Option<f64> {
    info.get(field)?.parse().ok()
}

fn hit_ratio(info: &Info) -> Option<f64> {
    let hits = number(info, "keyspace_hits")?;
    let all = hits + number(info, "keyspace_misses")?;
    (all > 0.0).then(|| hits / all)
}

fn instance(info: &Info) -> Labels {
    let text = |field: &str| info.get(field).cloned().unwrap_or_default();
    vec![
        ("role", text("role")),
        ("redis_version", text("redis_version")),
        ("valkey_version", text("valkey_version")),
        ("redis_mode", text("redis_mode")),
        ("maxmemory_policy", text("maxmemory_policy")),
    ]
}

fn databases(page: &mut Page<'_>, info: &Info) -> Result<(), fmt::Error> {
    let databases = || {
        info.iter().filter(|(name, _)| {
            name.strip_prefix("db")
                .is_some_and(|rest| rest.parse::<u32>().is_ok())
        })
    };
    let of = |figure: &'static str| {
        databases()
            .filter_map(move |(name, line)| Some((vec![("db", name.clone())], part(line, figure)?)))
    };
    page.each(Kind::Gauge, "redis_db_keys", "Keys", of("keys"))?;
    page.each(
        Kind::Gauge,
        "redis_db_keys_expiring",
        "Keys with an expiry",
        of("expires"),
    )
}

fn commands(page: &mut Page<'_>, info: &Info) -> Result<(), fmt::Error> {
    let mut called: Vec<(&str, f64, f64)> = info
        .iter()
        .filter_map(|(name, line)| {
            let command = name.strip_prefix("cmdstat_")?;
            Some((command, part(line, "calls")?, part(line, "usec")?))
        })
        .collect();
    called.sort_by(|one, other| other.1.total_cmp(&one.1));
    called.truncate(MOST_COMMANDS);
    let labels = |command: &str| vec![("cmd", command.to_owned())];
    for name in ["redis_commands", "redis_command_calls"] {
        page.each(
            Kind::Counter,
            name,
            "Calls of the commands called most",
            called
                .iter()
                .map(|(command, calls, _)| (labels(command), *calls)),
        )?;
    }
    page.each(
        Kind::Counter,
        "redis_commands_duration_seconds",
        "Time spent in the commands called most",
        called
            .iter()
            .map(|(command, _, spent)| (labels(command), Unit::Microseconds.scaled(*spent))),
    )
}

fn replicas(page: &mut Page<'_>, info: &Info) -> Result<(), fmt::Error> {
    let replicas = || {
        info.iter()
            .filter(|(name, _)| {
                name.strip_prefix("slave")
                    .is_some_and(|rest| rest.parse::<u32>().is_ok())
            })
            .filter_map(|(_, line)| Some((word(line, "ip")?, line)))
    };
    let labels = |host: &str| vec![("slave_ip", host.to_owned())];
    page.each(
        Kind::Gauge,
        "redis_connected_slave_lag_seconds",
        "Seconds since a replica last acknowledged",
        replicas().filter_map(|(host, line)| Some((labels(host), part(line, "lag")?))),
    )?;
    page.each(
        Kind::Gauge,
        "redis_connected_slave_offset_bytes",
        "Offset that a replica last acknowledged",
        replicas().filter_map(|(host, line)| Some((labels(host), part(line, "offset")?))),
    )
}

/// The value of `name` in `a=1,b=2`.
fn word<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(',')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

fn part(line: &str, name: &str) -> Option<f64> {
    word(line, name)?.parse().ok()
}
