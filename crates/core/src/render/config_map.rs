//! The ConfigMaps of a bus.

use super::meta;
use crate::bus::Bus;
use crate::config;
use crate::last_valid;
use crate::names::{AGENT_JSON, LAST_VALID, REDIS_CONF, SENTINEL_CONF};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use std::collections::BTreeMap;

/// What every pod of the bus mounts.
pub(super) fn config(bus: &Bus) -> ConfigMap {
    let agent = format!("{:#}\n", json!(config::agent_json(bus)));
    ConfigMap {
        metadata: meta::of_bus(bus, bus.names.config()),
        data: Some(BTreeMap::from([
            (AGENT_JSON.to_owned(), agent),
            (REDIS_CONF.to_owned(), config::redis_conf(bus)),
            (SENTINEL_CONF.to_owned(), config::sentinel_conf(bus)),
        ])),
        ..ConfigMap::default()
    }
}

/// What the bus is looked after by while its spec cannot be carried out.
pub(super) fn last_valid(bus: &Bus) -> ConfigMap {
    ConfigMap {
        metadata: meta::of_bus(bus, bus.names.last_valid()),
        data: Some(BTreeMap::from([(
            LAST_VALID.to_owned(),
            last_valid::keep(bus),
        )])),
        ..ConfigMap::default()
    }
}
