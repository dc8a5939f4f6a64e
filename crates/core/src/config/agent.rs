//! What the agents of a bus are told of it.

use crate::bus::Bus;
use crate::names::{Component, master_name};
use crate::protocol::{AgentConfig, MonitorSettings};
use cachebus_api::Duration;
use cachebus_api::settings::TlsMode;

/// `replica-priority` of a copy that may be promoted, the engines' own default.
const REPLICA_PRIORITY: u32 = 100;

/// `replication.fencingWindow` where the spec names none: with the looks that it takes to act on it, less than the
/// `sentinel.downAfter` that is usual.
const FENCING_WINDOW_MS: u64 = 3_000;

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
