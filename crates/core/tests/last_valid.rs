//! What is kept of a valid bus is enough to look after it.
#![allow(clippy::unwrap_used)]

mod common;

use cachebus_core::bus::{Bus, Platform};
use cachebus_core::config::{redis_conf, sentinel_conf};
use cachebus_core::last_valid::{keep, restore};
use common::bus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// An operator that was given no image of any engine.
fn platform() -> Platform {
    Platform {
        domain: "cluster.local".to_owned(),
        agent_image: "agent".to_owned(),
        agent_pull_policy: String::new(),
        engine_images: BTreeMap::new(),
        operator_namespace: "o".to_owned(),
    }
}

fn metadata(bus: &Bus) -> ObjectMeta {
    ObjectMeta {
        name: Some(bus.names.bus().to_owned()),
        namespace: Some(bus.names.namespace().to_owned()),
        uid: Some(bus.uid.clone()),
        generation: Some(bus.generation + 1),
        ..ObjectMeta::default()
    }
}

const SPEC: &str = r#"
engine: {kind: Valkey, version: '9.1'}
replicas: 4
port: 7000
memory: {max: 100Mi, policy: noeviction}
persistence: {aof: always, rdb: []}
sentinel: {replicas: 5, downAfter: 2s}
tls: {mode: Optional}
config: {hz: '50'}
cache: {keyspaces: [{name: agent, key: "agent:{id}", ttl: 1h}]}
services: [{name: dashboard, cache: {read: [agent]}}]
access: {namespaces: {matchLabels: {team: apps}}}
"#;

#[test]
fn a_bus_comes_back_as_it_was_kept() {
    for spec in ["{}", SPEC] {
        let bus = bus(spec);
        let restored = restore(&keep(&bus), &metadata(&bus), &platform()).unwrap();
        assert_eq!(restored.spec, bus.spec);
        assert_eq!(restored.names, bus.names);
        assert_eq!(restored.image, bus.image);
        assert_eq!(
            (restored.uid.as_str(), restored.generation),
            (bus.uid.as_str(), bus.generation)
        );
        assert_eq!(redis_conf(&restored), redis_conf(&bus));
        assert_eq!(sentinel_conf(&restored), sentinel_conf(&bus));
        assert_eq!(keep(&restored), keep(&bus), "it is written once");
    }
}

#[test]
fn what_is_no_bus_is_told() {
    let bus = bus("{}");
    for (text, reason) in [
        ("", "Unreadable"),
        ("{}", "Unreadable"),
        (
            &keep(&bus).replace(r#""version":"8.0""#, r#""version":"1.0""#),
            "EngineUnsupported",
        ),
    ] {
        let error = restore(text, &metadata(&bus), &platform()).unwrap_err();
        assert_eq!(error.reason(), reason, "{text}: {error}");
    }
}
