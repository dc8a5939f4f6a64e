//! The ConfigMap that every pod of the bus mounts.

use super::meta;
use crate::bus::Bus;
use crate::config;
use crate::names::{AGENT_JSON, REDIS_CONF, SENTINEL_CONF};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use std::collections::BTreeMap;

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
