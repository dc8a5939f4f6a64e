#![allow(clippy::unwrap_used)]
use super::*;
use crate::protocol::{CountedKeyspace, MonitorSettings};
use crate::seal::refusal::{FOREIGN_BUS, STALE_EPOCH};
use cachebus_api::engine::EngineKind;
use proptest::prelude::*;

fn spec() -> CacheBusSpec {
    let text = "
cache:
  keyspaces:
    - {name: session, key: 'session:{token}', ttl: 1m}
    - {name: agent, key: 'agent:{id}', ttl: 1m}
    - {name: agents, key: 'agents:all', ttl: 1m}
    - {name: lock, key: 'lock:{id}', ttl: 1m, kind: Lock}
events:
  channels:
    - {name: task, events: [created], durable: true}
    - {name: agent, events: [created]}
services:
  - {name: designer, cache: {read: [session], write: [lock, agents, agent]}}
  - {name: locker, cache: {write: [lock]}}
";
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn a_request_names_keyspaces_of_the_cache_by_themselves_or_by_the_service_that_writes_them() {
    for (asked, expected) in [
        ("agent", &["agent"] as &[&str]),
        (
            " agents,session , agent,agent,",
            &["session", "agent", "agents"],
        ),
        ("service:designer", &["agent", "agents"]),
        ("service:designer,session", &["session", "agent", "agents"]),
    ] {
        assert_eq!(named(asked, &spec()).unwrap(), expected, "{asked}");
    }
}

#[test]
fn a_request_that_names_anything_else_is_refused_as_a_whole_and_says_why() {
    for (asked, why) in [
        ("", "it names no keyspace"),
        (" , ", "it names no keyspace"),
        ("agent,agentz", "declares no agentz"),
        ("*", "declares no *"),
        ("agent:{id}", "declares no agent:{id}"),
        ("agent,lock", "lock holds locks"),
        ("task", "task is a channel"),
        ("task:created", "task:created is a channel"),
        ("service:nobody", "spec.services declares no nobody"),
        ("service:locker", "writes no keyspace of the cache"),
        ("designer", "declares no designer"),
    ] {
        let refusal = named(asked, &spec()).unwrap_err();
        assert!(refusal.contains(why), "{asked}: {refusal}");
    }
}

fn order(number: u64, keys: &[&str], others: &[&str]) -> FlushOrder {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    FlushOrder {
        uid: "u".to_owned(),
        epoch: 3,
        number,
        keys: owned(keys),
        others: owned(others),
    }
}

#[test]
fn the_keys_of_an_order_are_those_of_its_keyspaces_and_of_no_other() {
    let keys = Keys::of(&order(
        1,
        &["task:{id}", "tasks:all", "user:{id}:mail"],
        &["task:result:{id}", "user:{id}:name"],
    ));
    for (key, included) in [
        (b"task:7" as &[u8], true),
        (b"task:7:x", true),
        (b"task:\xff\x00", true),
        (b"task:", false),
        (b"task:result:7", false),
        (b"task:result", true),
        (b"tasks:all", true),
        (b"tasks:all:x", false),
        (b"user:1:mail", true),
        (b"user:1:name", false),
        (b"user:1", false),
        (b"task", false),
        (b"events:task:created:stream", false),
        (b"", false),
    ] {
        assert_eq!(keys.include(key), included, "{key:?}");
    }
    assert_eq!(keys.whole(), ["tasks:all"]);
}

#[test]
fn a_pattern_is_as_narrow_as_the_begin_that_all_have_in_common() {
    for (keys, pattern) in [
        (&["agent:{id}"] as &[&str], Some("agent:*")),
        (&["agents:all", "agent:{id}"], Some("agent:*")),
        (
            &["user-a:{id}:mail", "user-a:{id}:name"],
            Some("user\\-a:*"),
        ),
        (&["task:{id}", "tab:{id}"], Some("ta*")),
        (&["task:{id}", "agent:{id}"], Some("*")),
        (&["agents:all"], None),
    ] {
        let keys = Keys::of(&order(1, keys, &[]));
        assert_eq!(keys.pattern(), pattern);
    }
}

fn config() -> AgentConfig {
    AgentConfig {
        bus: "b".to_owned(),
        namespace: "n".to_owned(),
        domain: "cluster.local".to_owned(),
        uid: "u".to_owned(),
        master_name: "b-u".to_owned(),
        engine: EngineKind::Redis,
        port: 6379,
        sentinel_port: 26379,
        tls: true,
        sentinels: Vec::new(),
        quorum: 2,
        replica_priority: 100,
        replicas: 2,
        fencing_window_ms: 0,
        monitor: MonitorSettings {
            down_after_ms: 5_000,
            failover_timeout_ms: 60_000,
            parallel_syncs: 1,
        },
        events: crate::protocol::DurableEvents::default(),
        keyspaces: vec![CountedKeyspace {
            name: "agent".to_owned(),
            key: "agent:{id}".to_owned(),
        }],
    }
}

#[test]
fn orders_of_other_buses_older_epochs_and_before_the_last_one_are_refused_and_so_are_all_of_who_follows()
 {
    let marker = |epoch, fence| Marker {
        uid: "u".to_owned(),
        primary: "b-redis-0".to_owned(),
        epoch,
        complete: true,
        aof: None,
        fence,
    };
    let foreign = FlushOrder {
        uid: "v".to_owned(),
        ..order(4, &["a"], &[])
    };
    let valid = || order(4, &["a"], &[]);
    for (order, marker, leads, last, reason) in [
        (valid(), marker(3, 3), true, None, None),
        (valid(), marker(2, 3), true, Some(4), None),
        (valid(), marker(3, 3), true, Some(3), None),
        (foreign, marker(3, 3), true, None, Some(FOREIGN_BUS)),
        (valid(), marker(4, 0), true, None, Some(STALE_EPOCH)),
        (valid(), marker(3, 4), true, None, Some(STALE_EPOCH)),
        (
            valid(),
            marker(3, 3),
            false,
            None,
            Some(refusal::NOT_LEADING),
        ),
        (
            valid(),
            marker(3, 3),
            true,
            Some(5),
            Some(refusal::SUPERSEDED),
        ),
    ] {
        let judged = judge_order(&order, &config(), "b-redis-0", Some(&marker), leads, last);
        let refused = judged.err().map(|refusal| refusal.reason);
        assert_eq!(refused.as_deref(), reason);
    }
}

proptest! {
    #[test]
    fn every_key_that_is_included_matches_the_pattern_or_is_whole(
        templates in prop::collection::vec("[ab]{1,2}(:([ab]|\\{x\\})){0,2}", 1..5),
        others in prop::collection::vec("[ab]{1,2}(:([ab]|\\{x\\})){0,2}", 0..3),
        keys in prop::collection::vec("[ab:]{1,6}", 32),
    ) {
        let chosen: Vec<&str> = templates.iter().map(String::as_str).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let all = Keys::of(&order(1, &chosen, &others));
        for key in keys {
            let is_whole = all.whole().contains(&key);
            let begin = all.pattern().and_then(|pattern| pattern.strip_suffix('*'));
            let is_found = begin.is_some_and(|begin| key.starts_with(begin));
            prop_assert!(!all.include(key.as_bytes()) || is_whole || is_found, "{}", key);
        }
    }
}
