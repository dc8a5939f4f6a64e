//! A service's part of the contract, as its client library reads it.

use super::keys;
use crate::bus::Bus;
use cachebus_api::Duration;
use cachebus_api::contract::{Channel, KeyspaceKind, Service};
use cachebus_api::persistence::Aof;
use cachebus_api::settings;
use serde::Serialize;
use serde_json::json;

/// Version of the form of the document.
const VERSION: u32 = 1;
/// Time that a replica has to acknowledge a write.
const CONFIRM_TIMEOUT_MS: u32 = 1_000;

#[derive(Serialize)]
struct Contract<'a> {
    version: u32,
    service: &'a str,
    durability: Durability,
    cache: Cache<'a>,
    events: Events,
}

#[derive(Serialize)]
struct Durability {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<Confirm>,
}

/// What a client sends after a write, on the same connection. The write is done when the answer counts as many replicas as
/// are named here, and the primary where it is to be counted too; else nobody knows whether it stays.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Confirm {
    command: &'static str,
    /// First argument of `WAITAOF`: the primary's own file.
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<u32>,
    replicas: u32,
    timeout_ms: u32,
}

#[derive(Serialize)]
struct Cache<'a> {
    enabled: bool,
    keyspaces: Vec<Keyspace<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Keyspace<'a> {
    name: &'a str,
    key: &'a str,
    ttl_seconds: u64,
    kind: KeyspaceKind,
    access: &'static str,
}

#[derive(Serialize)]
struct Events {
    enabled: bool,
    publish: Vec<Event>,
    subscribe: Vec<Event>,
}

/// One channel, `<group>:<event>`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    channel: String,
    durable: bool,
    /// Newest events kept; 0: none.
    history: u32,
    retention_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    history_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_key: Option<String>,
}

pub(super) fn json(bus: &Bus, service: &Service) -> String {
    let contract = Contract {
        version: VERSION,
        service: &service.name,
        durability: durability(bus),
        cache: cache(bus, service),
        events: Events {
            enabled: bus.spec.events.enabled && service.events.enabled,
            publish: events(bus, &service.publish, None),
            subscribe: events(bus, &service.subscribe, Some(&service.name)),
        },
    };
    json!(contract).to_string()
}

fn durability(bus: &Bus) -> Durability {
    let spec = &bus.spec;
    if spec.replication.durability == settings::Durability::Async {
        return Durability {
            mode: "async",
            confirm: None,
        };
    }
    // Files that are written once a second would have every write wait as long.
    let in_files = bus.engine.waitaof && spec.persistence.aof == Aof::Always;
    Durability {
        mode: "quorum",
        confirm: Some(Confirm {
            command: if in_files { "WAITAOF" } else { "WAIT" },
            local: in_files.then_some(1),
            replicas: spec.confirming_replicas(),
            timeout_ms: CONFIRM_TIMEOUT_MS,
        }),
    }
}

fn cache<'a>(bus: &'a Bus, service: &Service) -> Cache<'a> {
    let access = |name: &String| {
        if service.cache.write.contains(name) {
            Some("write")
        } else {
            service.cache.read.contains(name).then_some("read")
        }
    };
    Cache {
        enabled: bus.spec.cache.enabled && service.cache.enabled,
        keyspaces: bus
            .spec
            .cache
            .keyspaces
            .iter()
            .filter_map(|keyspace| {
                Some(Keyspace {
                    access: access(&keyspace.name)?,
                    name: &keyspace.name,
                    key: &keyspace.key,
                    ttl_seconds: seconds(&keyspace.ttl),
                    kind: keyspace.kind,
                })
            })
            .collect(),
    }
}

/// The channels that `granted` names, whole groups or single events, each once and in the order of the spec's groups.
/// A `consumer` of durable channels has dead letters of its own.
fn events(bus: &Bus, granted: &[String], consumer: Option<&str>) -> Vec<Event> {
    bus.spec
        .events
        .channels
        .iter()
        .flat_map(|group| {
            group.events.iter().filter_map(move |event| {
                let channel = format!("{}:{event}", group.name);
                (granted.contains(&group.name) || granted.contains(&channel))
                    .then(|| describe(group, channel, consumer))
            })
        })
        .collect()
}

fn describe(group: &Channel, channel: String, consumer: Option<&str>) -> Event {
    Event {
        durable: group.durable,
        history: group.history,
        retention_seconds: seconds(&group.retention),
        history_key: (group.history > 0).then(|| keys::history(&channel)),
        stream_key: group.durable.then(|| keys::stream(&channel)),
        dead_letter_key: consumer
            .filter(|_| group.durable)
            .map(|service| keys::dead_letters(&channel, service)),
        channel,
    }
}

/// Whole seconds, at least one: in the engines a lifetime of 0 deletes.
fn seconds(duration: &Duration) -> u64 {
    duration.get().unwrap_or_default().as_secs().max(1)
}
