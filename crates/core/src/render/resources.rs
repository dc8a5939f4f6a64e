//! CPU and memory of the containers. What the spec says wins; the defaults fit themselves to it.

use crate::bus::Bus;
use crate::names::Component;
use cachebus_api::Bytes;
use cachebus_api::pods::Resources;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;

/// Defaults of a container.
struct Defaults {
    /// CPU requested, thousandths of a core. CPU is never limited by default: a throttled primary looks like a dead one.
    cpu_milli: u64,
    /// Memory requested, bytes; `None`: as much as the limit.
    memory_request: Option<u64>,
    /// Memory limit, bytes.
    memory_limit: u64,
}

/// The agent with its server.
pub(super) fn agent(bus: &Bus, component: Component) -> ResourceRequirements {
    match component {
        Component::Redis => {
            // Half as much again as the data: buffers, fragmentation, and pages that are written during a fork.
            let memory = bus.spec.memory.max.get().unwrap_or_default() / 2 * 3;
            requirements(
                &bus.spec.resources,
                &Defaults {
                    cpu_milli: 100,
                    memory_request: None,
                    memory_limit: memory,
                },
            )
        }
        Component::Sentinel => requirements(
            &bus.spec.sentinel.resources,
            &Defaults {
                cpu_milli: 50,
                memory_request: Some(64 * MIB),
                memory_limit: 128 * MIB,
            },
        ),
    }
}

/// Memory limit of the containers of data nodes, bytes. `None`: there is none.
pub fn memory_limit_of_data_nodes(bus: &Bus) -> Option<u64> {
    let limits = agent(bus, Component::Redis).limits?;
    Bytes::text(&limits.get("memory")?.0).get()
}

/// The container that installs the agent: it copies one file.
pub(super) fn install() -> ResourceRequirements {
    requirements(
        &Resources::default(),
        &Defaults {
            cpu_milli: 10,
            memory_request: Some(16 * MIB),
            memory_limit: 64 * MIB,
        },
    )
}

/// The containers that carry backups from and to where they are stored: a few parts of one are in memory at a time.
pub(super) fn transfer() -> ResourceRequirements {
    requirements(
        &Resources::default(),
        &Defaults {
            cpu_milli: 100,
            memory_request: Some(128 * MIB),
            memory_limit: 256 * MIB,
        },
    )
}

fn requirements(wanted: &Resources, defaults: &Defaults) -> ResourceRequirements {
    let Resources { requests, limits } = wanted;
    let least = bytes(requests.memory.as_ref()).unwrap_or_default();
    let memory_limit =
        bytes(limits.memory.as_ref()).unwrap_or_else(|| defaults.memory_limit.max(least));
    let memory_request = defaults
        .memory_request
        .map_or(memory_limit, |request| request.min(memory_limit));
    let cpu_limit = limits.cpu.as_deref().and_then(milli);
    let cpu_request = cpu_limit.map_or(defaults.cpu_milli, |limit| limit.min(defaults.cpu_milli));
    let cpu_request = requests.cpu.clone().unwrap_or(format!("{cpu_request}m"));
    ResourceRequirements {
        requests: Some(amounts([
            ("cpu", Some(cpu_request)),
            ("memory", Some(or(requests.memory.as_ref(), memory_request))),
        ])),
        limits: Some(amounts([
            ("cpu", limits.cpu.clone()),
            ("memory", Some(or(limits.memory.as_ref(), memory_limit))),
        ])),
        ..ResourceRequirements::default()
    }
}

/// What is set, as written, or a default number of bytes.
fn or(set: Option<&Bytes>, default: u64) -> String {
    set.map_or_else(|| quantity(default), |amount| amount.as_str().to_owned())
}

fn amounts<const N: usize>(pairs: [(&str, Option<String>); N]) -> BTreeMap<String, Quantity> {
    pairs
        .into_iter()
        .filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount?))))
        .collect()
}

fn bytes(amount: Option<&Bytes>) -> Option<u64> {
    amount?.get()
}

/// Thousandths of a core.
fn milli(cpu: &str) -> Option<u64> {
    if let Some(milli) = cpu.strip_suffix('m') {
        return milli.parse().ok();
    }
    let (cores, fraction) = cpu.split_once('.').unwrap_or((cpu, ""));
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    Some(cores.parse::<u64>().ok()? * 1_000 + thousandths)
}

/// Bytes in the largest binary unit that needs no fraction.
fn quantity(bytes: u64) -> String {
    [(1 << 30, "Gi"), (MIB, "Mi"), (1 << 10, "Ki")]
        .into_iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(
            || bytes.to_string(),
            |(unit, suffix)| format!("{}{suffix}", bytes / unit),
        )
}
