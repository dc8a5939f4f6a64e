//! What full memory would take from durable channels.

use super::condition::{Finding, kind};
use crate::bus::Bus;
use cachebus_api::settings::EvictionPolicy;

/// Whether events that are kept until they are acknowledged may be evicted, where they may. Their streams have no lifetime: a policy
/// that takes only keys with one leaves them alone.
pub fn spares_events(bus: &Bus) -> Option<Finding> {
    let policy = match bus.spec.memory.policy {
        EvictionPolicy::AllkeysLru => "allkeys-lru",
        EvictionPolicy::AllkeysLfu => "allkeys-lfu",
        EvictionPolicy::AllkeysRandom => "allkeys-random",
        EvictionPolicy::Noeviction
        | EvictionPolicy::VolatileLru
        | EvictionPolicy::VolatileLfu
        | EvictionPolicy::VolatileRandom
        | EvictionPolicy::VolatileTtl => return None,
    };
    let channels = bus.spec.events.channels.iter();
    let durable: Vec<&str> = channels
        .filter(|group| group.durable)
        .map(|group| group.name.as_str())
        .collect();
    (!durable.is_empty()).then(|| {
        let message = format!(
            "memory.policy is {policy}: when memory is full, streams of durable channels ({}) are evicted whole, with what nobody has consumed yet; volatile-lru and volatile-ttl spare them",
            durable.join(", ")
        );
        Finding::bad(kind::DURABLE_EVENTS_SAFE, "MayBeEvicted", message)
    })
}
