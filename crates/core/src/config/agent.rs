//! What the agents of a bus are told of it.

use crate::bus::Bus;
use crate::names::{Component, master_name};
use crate::protocol::{
    AgentConfig, CountedKeyspace, DurableChannels, DurableEvents, MonitorSettings, Subscriber,
};
use cachebus_api::settings::TlsMode;
use cachebus_api::{CacheBusSpec, Duration};

/// `replica-priority` of a copy that may be promoted, the engines' own default.
const REPLICA_PRIORITY: u32 = 100;

/// `replication.fencingWindow` where the spec names none: with the looks that it takes to act on it, less than the
/// `sentinel.downAfter` that is usual.
const FENCING_WINDOW_MS: u64 = 3_000;

/// For how long a consumer group is kept that no service of the contract has: longer than it takes until every agent has heard of
/// a new service.
const FORGET_GROUP_AFTER_MS: u64 = 10 * 60 * 1_000;

/// What the agents of the bus are told of it; the ConfigMap holds it as JSON.
#[must_use]
pub fn agent_json(bus: &Bus) -> AgentConfig {
    let sentinel = &bus.spec.sentinel;
    let names = &bus.names;
    AgentConfig {
        bus: names.bus().to_owned(),
        namespace: names.namespace().to_owned(),
        domain: names.domain().to_owned(),
        uid: bus.uid.clone(),
        master_name: master_name(names.bus(), &bus.uid),
        engine: bus.spec.engine.kind,
        port: bus.spec.port,
        sentinel_port: sentinel.port,
        tls: bus.spec.tls.mode != TlsMode::Disabled,
        sentinels: (0..bus.electorate.members)
            .map(|ordinal| {
                let pod = names.pod(Component::Sentinel, ordinal);
                names.pod_fqdn(Component::Sentinel, &pod)
            })
            .collect(),
        quorum: bus.electorate.pods / 2 + 1,
        replica_priority: REPLICA_PRIORITY,
        replicas: bus.replicas,
        fencing_window_ms: fencing_window_ms(bus),
        monitor: MonitorSettings {
            down_after_ms: milliseconds(&sentinel.down_after),
            failover_timeout_ms: milliseconds(&sentinel.failover_timeout),
            parallel_syncs: sentinel.parallel_syncs,
        },
        events: durable_events(&bus.spec),
        keyspaces: bus
            .spec
            .cache
            .keyspaces
            .iter()
            .map(|keyspace| CountedKeyspace {
                name: keyspace.name.clone(),
                key: keyspace.key.clone(),
            })
            .collect(),
    }
}

/// The durable channels, and who subscribes to one.
fn durable_events(spec: &CacheBusSpec) -> DurableEvents {
    let durable = spec.events.channels.iter().filter(|group| group.durable);
    let channels: Vec<DurableChannels> = durable
        .map(|group| DurableChannels {
            name: group.name.clone(),
            events: group.events.clone(),
            retention_ms: milliseconds(&group.retention),
        })
        .collect();
    let is_durable = |named: &&String| {
        let group = named
            .split_once(':')
            .map_or(named.as_str(), |(name, _)| name);
        channels.iter().any(|channel| channel.name == group)
    };
    let subscribers = spec.services.iter().map(|service| Subscriber {
        service: service.name.clone(),
        subscribe: service
            .subscribe
            .iter()
            .filter(is_durable)
            .cloned()
            .collect(),
    });
    DurableEvents {
        subscribers: subscribers
            .filter(|subscriber| !subscriber.subscribe.is_empty())
            .collect(),
        channels,
        forget_after_ms: FORGET_GROUP_AFTER_MS,
    }
}

/// A default that Sentinels who are quick do not overtake.
fn fencing_window_ms(bus: &Bus) -> u64 {
    let down_after = milliseconds(&bus.spec.sentinel.down_after);
    let window = bus.spec.replication.fencing_window.as_ref();
    window.map_or(FENCING_WINDOW_MS.min(down_after), milliseconds)
}

fn milliseconds(duration: &Duration) -> u64 {
    duration
        .get()
        .and_then(|duration| u64::try_from(duration.as_millis()).ok())
        .unwrap_or_default()
}
