//! The agent as PID 1: a server that dies is back at once, its logs are structured, its figures have the known names.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cachebus_core::names::Component;
use serde_json::{Value, json};

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::lab::Lab;
use crate::nodes::{agent_http, agent_status};
use crate::pods::restarts;
use crate::wait;
use crate::watch::{self, Watch};

/// Names that existing dashboards and alerts expect of data nodes.
const REDIS_METRICS: &[&str] = &[
    "redis_up",
    "redis_uptime_in_seconds",
    "redis_connected_clients",
    "redis_blocked_clients",
    "redis_memory_used_bytes",
    "redis_memory_max_bytes",
    "redis_commands_total",
    "redis_commands_duration_seconds_total",
    "redis_keyspace_hits_total",
    "redis_keyspace_misses_total",
    "redis_net_input_bytes_total",
    "redis_net_output_bytes_total",
    "redis_db_keys",
    "redis_db_keys_expiring",
    "redis_expired_keys_total",
    "redis_evicted_keys_total",
    "redis_instance_info",
    "redis_connected_slaves",
    "redis_rdb_last_save_timestamp_seconds",
    "redis_config_maxclients",
    "redis_rejected_connections_total",
    "cache_hits_total",
    "cache_misses_total",
    "cache_hit_ratio",
    "cache_evictions_total",
    "cache_memory_usage_bytes",
    "redis_ops_per_second",
    "redis_keyspace_hits",
    "redis_keyspace_misses",
];

/// The same of Sentinels.
const SENTINEL_METRICS: &[&str] = &[
    "redis_sentinel_master_status",
    "redis_sentinel_master_slaves",
    "redis_sentinel_master_ok_slaves",
    "redis_sentinel_master_sentinels",
    "redis_sentinel_master_ok_sentinels",
    "redis_sentinel_master_ckquorum_status",
    "redis_sentinel_master_config_epoch",
    "redis_sentinel_tilt",
];

/// Sends SIGKILL to the server. Without procps: the engines' images need not have it.
const KILL_SERVER: &str = r#"for p in /proc/[0-9]*; do read -r c < "$p/comm"; [ "$c" = redis-server ] && kill -9 "${p#/proc/}"; done; true"#;

pub const SCENARIO: Scenario = Scenario {
    name: "agent",
    proves: "a killed server is back without a restart of its pod and counted, a killed primary's agent has handed its lead over, logs are structured lines, metrics have the names that dashboards expect",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(&lab, &namespace, "bus", small(watch::granted(json!({})))?).await?;
    let primary = agreement::check(&bus).await?;
    let replica = bus
        .data_places()
        .into_iter()
        .map(|place| place.pod)
        .find(|pod| *pod != primary)
        .context("the bus has no replica")?;
    metrics(&bus, &primary).await?;
    logs(&bus, &replica).await?;
    server_killed(&lab, &bus, &replica).await?;
    primary_killed(&lab, &bus, &primary).await
}

async fn metrics(bus: &Bus, primary: &str) -> anyhow::Result<()> {
    // Databases without keys have no figures, and without a look-up there is no ratio of hits.
    bus.on_primary::<()>(&["SET", "agent:1", "1"]).await?;
    bus.on_primary::<()>(&["GET", "agent:1"]).await?;
    let sentinel = bus.place(Component::Sentinel, 0).pod;
    for (pod, names) in [(primary, REDIS_METRICS), (&sentinel, SENTINEL_METRICS)] {
        let namespace = bus.names.namespace();
        wait::until("the figures are there", Duration::from_secs(10), || async {
            let text = agent_http(&bus.client, namespace, pod, "/metrics").await?;
            let missing = missing(names, &text);
            ensure!(missing.is_empty(), "{pod} has no {missing:?}");
            Ok(())
        })
        .await?;
        for path in ["/livez", "/readyz", "/startupz"] {
            agent_http(&bus.client, namespace, pod, path).await?;
        }
    }
    Ok(())
}

fn missing<'a>(names: &[&'a str], text: &str) -> Vec<&'a str> {
    let is_there = |name: &&str| {
        text.lines().any(|line| {
            line.strip_prefix(*name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        })
    };
    names
        .iter()
        .copied()
        .filter(|name| !is_there(name))
        .collect()
}

/// Every line of a pod is one JSON object, the server's own too.
async fn logs(bus: &Bus, pod: &str) -> anyhow::Result<()> {
    let log = bus.pods().logs(pod, "redis", None).await?;
    let mut of_the_server = 0;
    for line in log.lines() {
        let parsed: Value =
            serde_json::from_str(line).with_context(|| format!("{pod} logged {line}"))?;
        ensure!(parsed.is_object(), "{pod} logged {line}");
        of_the_server += usize::from(line.contains("Ready to accept connections"));
    }
    ensure!(of_the_server > 0, "{pod} logged nothing of its server");
    Ok(())
}

async fn server_killed(lab: &Lab, bus: &Bus, pod: &str) -> anyhow::Result<()> {
    let uids = bus.pods().uids().await?;
    let before = crashes(bus, pod).await?;
    bus.pods()
        .exec(pod, "redis", &["sh", "-c", KILL_SERVER])
        .await?;
    let began = Instant::now();
    wait::until(
        "the crash is counted and the server is back",
        Duration::from_secs(15),
        || async {
            let now = crashes(bus, pod).await?;
            ensure!(now == before + 1, "{now} crashes");
            agent_http(&bus.client, bus.names.namespace(), pod, "/readyz").await?;
            agreement::topology(bus).await
        },
    )
    .await?;
    lab.note(format_args!(
        "{pod}: a killed server is back and all agree after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    bus.await_ready(READY).await?;
    ensure!(bus.pods().uids().await? == uids, "a pod was replaced");
    let restarts: i32 = bus.pods().list().await?.iter().map(restarts).sum();
    ensure!(restarts == 0, "{restarts} restarts of containers");
    Ok(())
}

/// Its agent hands the lead to a replica at once, and has the server follow.
async fn primary_killed(lab: &Lab, bus: &Bus, primary: &str) -> anyhow::Result<()> {
    bus.on_primary::<()>(&["SET", "agent:2", "kept"]).await?;
    let watched = Watch::start(bus);
    server_killed(lab, bus, primary).await?;
    let history = watched.seen();
    watch::never_two(&history)?;
    let value: Option<String> = bus.on_primary(&["GET", "agent:2"]).await?;
    ensure!(value.as_deref() == Some("kept"), "the key is {value:?}");
    let status = bus.object().await?.status.unwrap_or_default();
    let last = status.last_failover.context("no lastFailover")?;
    let now = bus.primary().await?;
    ensure!(
        (last.from.as_str(), last.to.as_str(), last.reason.as_str())
            == (primary, now.as_str(), "ServerCrashed"),
        "{last:?}, and {now} leads: {history}"
    );
    lab.note(format_args!(
        "{now} took over from {primary}: no write taken for {:?} ms",
        last.write_gap_ms
    ));
    Ok(())
}

async fn crashes(bus: &Bus, pod: &str) -> anyhow::Result<u64> {
    let access = bus.access().await?;
    let status = agent_status(&bus.client, &access, Component::Redis, pod).await?;
    let status: Value = serde_json::from_str(&status)?;
    status
        .get("crashes")
        .and_then(Value::as_u64)
        .context("the status counts no crashes")
}
