//! How much the contract declares.

use cachebus_api::CacheBusSpec;
use cachebus_api::status::ContractSize;

/// It follows from the spec alone: counts of what is stored would have the status written for as long as services are at work.
pub fn size(spec: &CacheBusSpec) -> ContractSize {
    let number = |length| u32::try_from(length).unwrap_or(u32::MAX);
    let groups = spec.events.channels.iter();
    ContractSize {
        keyspaces: number(spec.cache.keyspaces.len()),
        channels: number(groups.map(|group| group.events.len()).sum()),
        services: number(spec.services.len()),
    }
}
