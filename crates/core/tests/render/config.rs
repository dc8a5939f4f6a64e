//! The tables of directives against what real engines answered to `CONFIG GET *` and to a `CONFIG SET` of each.

use crate::fixture::bus;
use cachebus_api::engine::EngineKind;
use cachebus_core::config::{
    accepted, agent_json, drift, is_live, objection, redis_conf, same, settings,
};
use cachebus_core::engine::{self, Capabilities};
use cachebus_core::streams::wanted;
use std::collections::{BTreeMap, BTreeSet};

/// Each engine with its directives and whether it took them live.
fn engines() -> [(&'static Capabilities, BTreeMap<&'static str, bool>); 3] {
    [
        (
            EngineKind::Redis,
            "7.0",
            include_str!("../engines/redis-7.0.txt"),
        ),
        (
            EngineKind::Redis,
            "8.0",
            include_str!("../engines/redis-8.0.txt"),
        ),
        (
            EngineKind::Valkey,
            "9.1",
            include_str!("../engines/valkey-9.1.txt"),
        ),
    ]
    .map(|(kind, version, text)| {
        let directives = text
            .lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(name, word)| (name, word == "live"))
            .collect();
        (engine::capabilities(kind, version).unwrap(), directives)
    })
}

#[test]
fn engines_know_what_is_accepted_and_take_it_live_where_it_is_said_so() {
    for (engine, directives) in engines() {
        for accepted in accepted() {
            let said = accepted
                .engines
                .iter()
                .find(|(known, _)| *known == engine)
                .map(|(_, live)| *live);
            let measured = directives.get(accepted.directive).copied();
            assert!(
                said.is_none() || said == measured,
                "{} in {engine:?}: {said:?}, measured {measured:?}",
                accepted.directive
            );
        }
    }
}

#[test]
fn engines_know_what_is_rendered_and_take_it_live_where_it_is_said_so() {
    for (engine, directives) in engines() {
        let spec = format!(
            "engine: {{kind: {:?}, version: '{}'}}",
            engine.kind, engine.version
        );
        for name in settings(&bus(&spec)).keys() {
            assert_eq!(
                directives.get(name.as_str()),
                Some(&is_live(name, engine)),
                "{name} in {engine:?}"
            );
        }
    }
}

#[test]
fn what_is_rendered_cannot_be_set_by_hand_unless_it_is_accepted() {
    let accepted: BTreeSet<&str> = accepted().iter().map(|a| a.directive).collect();
    let bus = bus("{}");
    for name in settings(&bus).keys() {
        let refused = objection(name, "no", bus.engine)
            .is_some_and(|objection| objection.reason == "DirectiveRefused");
        assert_ne!(refused, accepted.contains(name.as_str()), "{name}");
    }
}

#[test]
fn objections_name_the_right_field_or_value() {
    let redis = bus("{engine: {version: '7.0'}}").engine;
    for (name, value, reason, part) in [
        ("MaxMemory", "1gb", "DirectiveRefused", "spec.memory.max"),
        ("tls-ciphers", "x", "DirectiveRefused", "spec.tls"),
        ("slave-priority", "1", "DirectiveRefused", "replica"),
        ("hzz", "1", "DirectiveUnknown", "hzz"),
        ("locale-collate", "", "DirectiveUnknown", "Redis 7.0"),
        ("hz", "fast", "DirectiveInvalid", "from 1 to 500"),
        ("activedefrag", "maybe", "DirectiveInvalid", "yes or no"),
    ] {
        let objection = objection(name, value, redis).unwrap();
        assert_eq!(objection.reason, reason, "{name}");
        assert!(objection.message.contains(part), "{}", objection.message);
    }
    assert_eq!(objection("Hz", "50", redis), None);
}

#[test]
fn the_same_value_may_be_written_in_several_ways() {
    for (directive, desired, live) in [
        ("maxmemory", "64mb", "67108864"),
        ("appendonly", "YES", "yes"),
        ("save", "900  1", "900 1"),
        ("notify-keyspace-events", "KEA", "AKE"),
        ("proc-title-template", "x", "x"),
    ] {
        assert!(same(directive, desired, live), "{directive}");
    }
    for (directive, desired, live) in [
        ("maxmemory", "64mb", "64000000"),
        ("save", "900 1", ""),
        ("dir", "/Data", "/data"),
        ("proc-title-template", "x", "X"),
    ] {
        assert!(!same(directive, desired, live), "{directive}");
    }
}

fn drift_after(spec: &str, edits: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let bus = bus(spec);
    let mut live = settings(&bus);
    live.insert("maxmemory-samples".to_owned(), "5".to_owned());
    assert_eq!(
        drift(&bus, &live, None),
        drift(&bus, &BTreeMap::new(), None)
    );
    for (name, value) in edits {
        live.insert((*name).to_owned(), (*value).to_owned());
    }
    let drift = drift(&bus, &live, None);
    (drift.live.into_keys().collect(), drift.restart)
}

#[test]
fn data_grows_only_into_a_container_that_has_room_for_it() {
    const GIB: u64 = 1 << 30;
    let grown = bus("memory: {max: 8Gi}");
    let of = |max: u64, limit| {
        let live = BTreeMap::from([("maxmemory".to_owned(), max.to_string())]);
        drift(&grown, &live, limit)
    };
    for limit in [Some(12 * GIB), None] {
        assert!(of(2 * GIB, limit).live.contains_key("maxmemory"));
    }
    let waits = of(2 * GIB, Some(3 * GIB));
    assert_eq!(waits.live, BTreeMap::new());
    assert_eq!(waits.restart, ["maxmemory"]);
    // What was set by hand, or without bound, shrinks at once.
    for too_much in [16 * GIB, 0] {
        let shrinks = of(too_much, Some(3 * GIB));
        assert!(shrinks.live.contains_key("maxmemory"), "{too_much}");
    }
}

#[test]
fn drift_tells_what_is_set_live_from_what_waits_for_a_restart() {
    let (live, restart) = drift_after(
        "{}",
        &[
            ("min-replicas-to-write", "99"),
            ("maxmemory", "1"),
            ("tcp-backlog", "128"),
            ("hz", "50"),
        ],
    );
    assert_eq!(live, ["maxmemory", "min-replicas-to-write"]);
    assert_eq!(restart, ["tcp-backlog"]);
}

#[test]
fn a_node_changes_between_tls_and_plain_text_only_by_a_restart() {
    let plain = [
        ("port", "6379"),
        ("tls-port", "0"),
        ("tls-replication", "no"),
        ("tls-cert-file", ""),
    ];
    let (live, restart) = drift_after("tls: {mode: Required}", &plain);
    assert_eq!(live, [""; 0]);
    assert_eq!(
        restart,
        ["port", "tls-cert-file", "tls-port", "tls-replication"]
    );

    let (live, restart) = drift_after("tls: {mode: Optional}", &[("port", "0")]);
    assert_eq!(live, ["port"]);
    assert_eq!(restart, [""; 0]);
}

#[test]
fn settings_are_what_config_get_prints() {
    let bus = bus(
        "
memory: {max: 16G}
persistence: {rdb: [{after: 15m, changes: 1}, {after: 1m, changes: 100}], aof: always}
replicas: 1
connections: {timeout: 1500ms, tcpKeepalive: 30s}
config: {Maxmemory-Clients: 5%, proto-max-bulk-len: 1GB, loglevel: WARNING, client-output-buffer-limit: pubsub 1mb 1mb 1}
",
    );
    let settings = settings(&bus);
    for (name, value) in [
        ("maxmemory", "16000000000"),
        ("repl-backlog-size", "67108864"),
        ("save", "900 1 60 100"),
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("timeout", "2"),
        ("min-replicas-to-write", "0"),
        ("maxmemory-clients", "5%"),
        ("proto-max-bulk-len", "1073741824"),
        ("loglevel", "warning"),
        (
            "client-output-buffer-limit",
            "normal 0 0 0 slave 2000000000 500000000 60 pubsub 1048576 1048576 1",
        ),
    ] {
        assert_eq!(
            settings.get(name).map(String::as_str),
            Some(value),
            "{name}"
        );
    }
    assert_eq!(redis_conf(&bus).lines().count(), settings.len());
}

#[test]
fn agents_are_told_of_durable_channels_and_of_who_subscribes_to_one() {
    let bus = bus("
events:
  channels:
    - {name: task, events: [created, done], durable: true, retention: 90s}
    - {name: ws, events: [message]}
services:
  - {name: listener, publish: [ws], subscribe: [ws, 'task:done']}
  - {name: publisher, publish: [task], subscribe: ['ws:message']}
  - {name: reader, subscribe: [task]}
");
    let events = agent_json(&bus).events;
    assert_eq!(events.subscribers.len(), 2, "{events:?}");
    let streams: Vec<(String, u64, Vec<String>)> = wanted(&events)
        .into_iter()
        .map(|stream| {
            let services = stream.services.iter().cloned().collect();
            (stream.channel, stream.retention_ms, services)
        })
        .collect();
    let stream = |channel: &str, services: &[&str]| {
        let services = services.iter().map(|&service| service.to_owned());
        (channel.to_owned(), 90_000, services.collect())
    };
    assert_eq!(
        streams,
        [
            stream("task:created", &["reader"]),
            stream("task:done", &["listener", "reader"]),
        ]
    );
}
