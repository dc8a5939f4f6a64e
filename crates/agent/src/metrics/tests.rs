#![allow(clippy::unwrap_used)]
use super::*;
use crate::snapshot::Health;
use cachebus_core::protocol::{
    AgentStatus, DataStatus, Marker, MonitorSettings, Monitored, Phase, SentinelStatus,
};
use cachebus_core::streams::{Backlog, Group, Stream, Watch};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// Lines of `INFO all` of Redis 7.0.15.
const INFO: &str = "\
redis_version:7.0.15
role:master
keyspace_hits:30
keyspace_misses:10
evicted_keys:2
used_memory:1048576
connected_clients:7
latest_fork_usec:1500
rdb_last_bgsave_status:ok
aof_last_write_status:err
db0:keys=5,expires=3,avg_ttl=100
db12:keys=1,expires=0,avg_ttl=0
slave0:ip=b-redis-1.x,port=6379,state=online,offset=70,lag=1
cmdstat_get:calls=40,usec=2000000,usec_per_call=1.00,rejected_calls=0,failed_calls=0
cmdstat_config|get:calls=2,usec=10,usec_per_call=5.00,rejected_calls=0,failed_calls=0";

fn lines(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn rendered(node: NodeStatus, info: BTreeMap<String, String>) -> String {
    text(snapshot(node, info)).unwrap()
}

fn snapshot(node: NodeStatus, info: BTreeMap<String, String>) -> Snapshot {
    Snapshot {
        status: AgentStatus {
            pod: "b-redis-0".to_owned(),
            uid: "1".to_owned(),
            agent_version: "0.1.0".to_owned(),
            engine: None,
            crashes: 3,
            acl_digest: None,
            certificate_expires: Some(1_900_000_000),
            certificate: None,
            node,
        },
        health: Health {
            looped: Instant::now(),
            answered: None,
            started: true,
            unready: None,
        },
        info: Arc::new(info),
        streams: Arc::default(),
        keyspaces: Arc::default(),
    }
}

fn data() -> NodeStatus {
    NodeStatus::Redis(Box::new(DataStatus {
        phase: Phase::Following("b-redis-1".to_owned()),
        marker: Some(Marker {
            uid: "1".to_owned(),
            primary: "b-redis-1".to_owned(),
            epoch: 9,
            complete: true,
            aof: None,
            fence: 0,
        }),
        keys: None,
        dataset: true,
        replication: None,
        handover: None,
        fenced: None,
        electorate: None,
        set_aside: false,
        config: BTreeMap::new(),
        refused_settings: BTreeMap::new(),
        library: None,
        consumers: None,
        flush: None,
    }))
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|is| is == *line), "no {line} in\n{text}");
    }
}

#[test]
fn a_data_node_is_told_under_the_names_that_dashboards_and_the_contract_expect() {
    let text = rendered(data(), lines(INFO));
    has(
        &text,
        &[
            "redis_up 1.0",
            "cache_hits_total 30.0",
            "cache_misses_total 10.0",
            "cache_hit_ratio 0.75",
            "cache_evictions_total 2.0",
            "cache_memory_usage_bytes 1048576.0",
            "redis_memory_used_bytes 1048576.0",
            "redis_connected_clients 7.0",
            "redis_keyspace_hits 30.0",
            "redis_keyspace_hits_total 30.0",
            "redis_evicted_keys_total 2.0",
            "redis_latest_fork_seconds 0.0015",
            "redis_rdb_last_bgsave_status 1.0",
            "redis_aof_last_write_status 0.0",
            "redis_db_keys{db=\"db0\"} 5.0",
            "redis_db_keys_expiring{db=\"db12\"} 0.0",
            "redis_connected_slave_lag_seconds{slave_ip=\"b-redis-1.x\"} 1.0",
            "redis_commands_total{cmd=\"get\"} 40.0",
            "redis_command_calls_total{cmd=\"config|get\"} 2.0",
            "redis_commands_duration_seconds_total{cmd=\"get\"} 2.0",
            "cachebus_agent_server_crashes_total 3.0",
            "cachebus_agent_phase{phase=\"Following\"} 1.0",
            "cachebus_agent_phase{phase=\"Leading\"} 0.0",
            "cachebus_agent_epoch 9.0",
            "cachebus_agent_certificate_expiry_timestamp_seconds 1900000000.0",
        ],
    );
    assert!(text.contains("redis_instance_info{role=\"master\",redis_version=\"7.0.15\""));
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn no_family_is_there_twice() {
    let text = rendered(data(), lines(INFO));
    let mut families: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let all = families.len();
    families.sort_unstable();
    families.dedup();
    assert_eq!(families.len(), all);
}

#[test]
fn a_server_that_does_not_answer_is_down_and_has_no_other_figures() {
    let text = rendered(data(), BTreeMap::new());
    has(&text, &["redis_up 0.0"]);
    assert!(!text.contains("redis_memory") && !text.contains("cache_"));
}

#[test]
fn each_service_of_a_durable_channel_is_told_and_no_other_group() {
    let group = Group {
        pending: 3,
        lag: Some(4),
        age_ms: 1_500,
        lost: 5,
    };
    let unknown = Group {
        lag: None,
        ..Group::default()
    };
    let groups = [
        ("dashboard", group.clone()),
        ("new", unknown),
        ("other", group),
    ];
    let backlog = Backlog {
        exists: true,
        due: false,
        length: 7,
        groups: groups
            .into_iter()
            .map(|(name, group)| (name.to_owned(), group))
            .collect(),
    };
    let of = |channel: &str| {
        Watch::new(Stream {
            channel: channel.to_owned(),
            retention_ms: 1,
            services: ["dashboard", "new"].map(str::to_owned).into(),
        })
    };
    let mut seen = of("task:created");
    seen.saw(backlog, 0);
    let watches = [seen, of("task:done")].map(|watch| (watch.stream().channel.clone(), watch));
    let mut snapshot = snapshot(data(), lines(INFO));
    snapshot.streams = Arc::new(watches.into());
    let text = text(snapshot).unwrap();
    has(
        &text,
        &[
            "events_stream_length{channel=\"task:created\"} 7.0",
            "events_consumer_lag{channel=\"task:created\",service=\"dashboard\"} 4.0",
            "events_consumer_pending{channel=\"task:created\",service=\"dashboard\"} 3.0",
            "events_consumer_pending{channel=\"task:created\",service=\"new\"} 0.0",
            "events_consumer_age_seconds{channel=\"task:created\",service=\"dashboard\"} 1.5",
            "events_lost_total{channel=\"task:created\",service=\"dashboard\"} 5.0",
        ],
    );
    for absent in [
        "service=\"other\"",
        "task:done",
        "events_consumer_lag{channel=\"task:created\",service=\"new\"}",
    ] {
        assert!(!text.contains(absent), "{absent} in\n{text}");
    }
}

#[test]
fn the_keys_of_each_keyspace_are_told_once_they_have_been_counted() {
    let mut snapshot = snapshot(data(), BTreeMap::new());
    assert!(
        !text(snapshot.clone())
            .unwrap()
            .contains("cache_keyspace_keys")
    );
    snapshot.keyspaces = Arc::new(BTreeMap::from([("agent".to_owned(), 7)]));
    let text = text(snapshot).unwrap();
    has(&text, &["cache_keyspace_keys{keyspace=\"agent\"} 7.0"]);
}

#[test]
fn commands_are_bounded() {
    let info = (0..300)
        .map(|n| {
            (
                format!("cmdstat_c{n}"),
                format!("calls={n},usec=1,usec_per_call=1.00"),
            )
        })
        .collect();
    let text = rendered(data(), info);
    let told = text
        .lines()
        .filter(|line| line.starts_with("redis_commands_total{"))
        .count();
    assert_eq!(told, redis::MOST_COMMANDS);
    has(&text, &["redis_commands_total{cmd=\"c299\"} 299.0"]);
}

#[test]
fn a_sentinel_is_told() {
    let node = NodeStatus::Sentinel(SentinelStatus {
        up: true,
        run_id: None,
        monitored: Some(Monitored {
            host: "b-redis-0.x".to_owned(),
            port: 6379,
            config_epoch: 4,
            quorum: 2,
            settings: MonitorSettings {
                down_after_ms: 1,
                failover_timeout_ms: 1,
                parallel_syncs: 1,
            },
            down: false,
            failing_over: false,
            promoting: false,
            replicas: vec!["b-redis-1.x".to_owned()],
            peers: vec!["b-sentinel-1.x".to_owned(), "b-sentinel-2.x".to_owned()],
            known: Vec::new(),
        }),
    });
    let info = lines(
        "sentinel_masters:1\nsentinel_tilt:0\nmaster0:name=b-1,status=ok,address=1.2.3.4:6379,slaves=2,sentinels=3",
    );
    has(
        &rendered(node, info),
        &[
            "redis_up 1.0",
            "redis_sentinel_tilt 0.0",
            "redis_sentinel_master_status 1.0",
            "redis_sentinel_master_slaves 2.0",
            "redis_sentinel_master_ok_slaves 1.0",
            "redis_sentinel_master_sentinels 3.0",
            "redis_sentinel_master_ok_sentinels 3.0",
            "redis_sentinel_master_ckquorum_status 1.0",
            "redis_sentinel_master_config_epoch 4.0",
        ],
    );
}
