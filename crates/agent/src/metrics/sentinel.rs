//! Figures of a Sentinel.

use super::agent::{figure, flag};
use super::page::{Kind, Page};
use cachebus_core::protocol::SentinelStatus;
use std::collections::BTreeMap;
use std::fmt;

pub(super) fn encode(
    page: &mut Page<'_>,
    info: &BTreeMap<String, String>,
    status: &SentinelStatus,
) -> Result<(), fmt::Error> {
    page.one(
        Kind::Gauge,
        "redis_up",
        "Whether the Sentinel answers",
        flag(status.up),
    )?;
    for (field, name, help) in [
        (
            "uptime_in_seconds",
            "redis_uptime_in_seconds",
            "Seconds since the Sentinel started",
        ),
        (
            "connected_clients",
            "redis_connected_clients",
            "Connections of clients",
        ),
        ("used_memory", "redis_memory_used_bytes", "Memory allocated"),
        (
            "sentinel_masters",
            "redis_sentinel_masters",
            "Primaries monitored",
        ),
        (
            "sentinel_tilt",
            "redis_sentinel_tilt",
            "Whether the Sentinel distrusts its clock and does not act",
        ),
    ] {
        if let Some(value) = info.get(field).and_then(|text| text.parse().ok()) {
            page.one(Kind::Gauge, name, help, value)?;
        }
    }
    let Some(monitored) = &status.monitored else {
        return Ok(());
    };
    let known = |name: &str| {
        info.iter()
            .find(|(field, _)| field.starts_with("master0"))
            .and_then(|(_, line)| {
                line.split(',')
                    .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
            })
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    };
    let count = |hosts: &[String]| figure(hosts.len() as u64);
    let all = known("sentinels");
    let usable = count(&monitored.peers) + 1.0;
    // As `SENTINEL CKQUORUM` judges it: enough to agree that the primary is down, and a majority to elect one who acts.
    let able = usable >= f64::from(monitored.quorum) && usable > all / 2.0;
    for (name, help, value) in [
        (
            "status",
            "Whether this Sentinel holds the primary for up",
            flag(!monitored.down),
        ),
        ("slaves", "Replicas known", known("slaves")),
        (
            "ok_slaves",
            "Replicas that answer",
            count(&monitored.replicas),
        ),
        ("sentinels", "Sentinels known, this one included", all),
        (
            "ok_sentinels",
            "Sentinels that answer, this one included",
            usable,
        ),
        (
            "ckquorum_status",
            "Whether enough Sentinels are there for a failover",
            flag(able),
        ),
        (
            "config_epoch",
            "Version of this knowledge",
            figure(monitored.config_epoch),
        ),
    ] {
        page.one(
            Kind::Gauge,
            &format!("redis_sentinel_master_{name}"),
            help,
            value,
        )?;
    }
    Ok(())
}
