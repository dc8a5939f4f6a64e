//! Figures of the cache, by keyspaces of the contract.

use super::agent::figure;
use super::page::{Kind, Page};
use std::collections::BTreeMap;
use std::fmt;

pub(super) fn encode(page: &mut Page<'_>, keys: &BTreeMap<String, u64>) -> Result<(), fmt::Error> {
    if keys.is_empty() {
        return Ok(());
    }
    page.each(
        Kind::Gauge,
        "cache_keyspace_keys",
        "Keys of a keyspace, about, as they were counted last",
        keys.iter().map(|(keyspace, keys)| {
            let labels = vec![("keyspace", keyspace.clone())];
            (labels, figure(*keys))
        }),
    )
}
