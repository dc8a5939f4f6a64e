//! Which changes of a report are told at once.
#![allow(clippy::unwrap_used)]

use cachebus_core::protocol::{AgentStatus, NodeStatus};
use proptest::prelude::*;
use serde_json::{Value, json};

fn report(node: &Value) -> AgentStatus {
    let mut report = json!({
        "pod": "b-redis-0", "uid": "u", "agentVersion": "0", "engine": null, "crashes": 0, "aclDigest": null, "certificateExpires": null,
    });
    let (report_fields, node) = (report.as_object_mut().unwrap(), node.as_object().unwrap());
    report_fields.extend(node.clone());
    serde_json::from_value(report).unwrap()
}

fn leads() -> Value {
    json!({"redis": {
        "phase": "Leading", "marker": null, "keys": 7, "dataset": true, "fenced": null, "setAside": false,
        "consumers": {"behind": {"number": 0, "first": []}}, "flush": {"last": {"number": 1, "outcome": "Running"}}, "config": {"maxmemory": "1", "min-replicas-max-lag": "10"},
        "handover": {"number": 1, "cause": "Ordered", "to": "b-redis-1", "outcome": "Running"},
        "replication": {"offset": 9, "linkUp": false, "syncing": false, "replicas": [
            {"host": "one", "online": true, "lag": 0}, {"host": "other", "online": true, "lag": 1},
        ]},
    }})
}

fn watches() -> Value {
    json!({"sentinel": {"up": true, "runId": "id", "monitored": {
        "host": "one", "port": 1, "configEpoch": 1, "quorum": 2, "down": false, "failingOver": false, "promoting": false,
        "settings": {"downAfterMs": 1, "failoverTimeoutMs": 1, "parallelSyncs": 1},
        "replicas": ["other", "third"], "peers": ["a", "b"],
    }}})
}

/// The revision of a report of which a field is another.
fn with(node: &Value, field: &str, value: Value) -> String {
    let mut node = node.clone();
    *node.pointer_mut(field).unwrap() = value;
    report(&node).revision()
}

#[test]
fn what_decisions_are_made_from_is_told() {
    let data = leads();
    let revision = report(&data).revision();
    for (field, value) in [
        ("/redis/phase", json!({"Following": "one"})),
        (
            "/redis/marker",
            json!({"uid": "u", "primary": "one", "epoch": 1, "complete": true, "fence": 1}),
        ),
        ("/redis/config/maxmemory", json!("2")),
        ("/redis/handover/number", json!(2)),
        (
            "/redis/handover/outcome",
            json!({"Done": {"writeGapMs": 30}}),
        ),
        ("/redis/fenced", json!("Isolated")),
        ("/redis/flush/last/number", json!(2)),
        ("/redis/flush/last/outcome", json!({"Done": {"removed": 7}})),
        ("/redis/setAside", json!(true)),
        (
            "/redis/consumers/behind",
            json!({"number": 1, "first": [{"channel": "a:b", "service": "s"}]}),
        ),
        ("/redis/replication/linkUp", json!(true)),
        ("/redis/replication/replicas/0/online", json!(false)),
        ("/redis/replication/replicas/0/host", json!("third")),
        ("/redis/replication/replicas/0/lag", json!(11)),
    ] {
        assert_ne!(with(&data, field, value), revision, "{field}");
    }
    let sentinel = watches();
    let revision = report(&sentinel).revision();
    for (field, value) in [
        ("/sentinel/up", json!(false)),
        ("/sentinel/monitored/host", json!("other")),
        ("/sentinel/monitored/configEpoch", json!(2)),
        ("/sentinel/monitored/down", json!(true)),
        ("/sentinel/monitored/promoting", json!(true)),
        ("/sentinel/monitored/replicas", json!(["other"])),
    ] {
        assert_ne!(with(&sentinel, field, value), revision, "{field}");
    }
}

#[test]
fn the_order_of_lists_is_no_news() {
    let sentinel = watches();
    let turned = with(&sentinel, "/sentinel/monitored/peers", json!(["b", "a"]));
    assert_eq!(turned, report(&sentinel).revision());
    let data = leads();
    let replicas = json!([{"host": "other", "online": true, "lag": 0}, {"host": "one", "online": true, "lag": 0}]);
    let turned = with(&data, "/redis/replication/replicas", replicas);
    assert_eq!(turned, report(&data).revision());
}

proptest! {
    #[test]
    fn what_moves_in_a_bus_that_is_well_is_no_news(offset: u64, keys: Option<u64>, dataset: bool, lag in 0..=10_u64) {
        let mut moved = report(&leads());
        let NodeStatus::Redis(data) = &mut moved.node else { unreachable!() };
        data.keys = keys;
        data.dataset = dataset;
        let replication = data.replication.as_mut().unwrap();
        replication.offset = offset;
        replication.replicas[1].lag = lag;
        prop_assert_eq!(moved.revision(), report(&leads()).revision());
    }
}
