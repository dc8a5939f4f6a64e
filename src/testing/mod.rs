//! Fixtures of tests: an API server in memory, and a world around it in which passes are made one by one.

#![allow(clippy::unwrap_used)]

mod api;
mod pods;
mod world;

pub use api::Api;
pub use pods::Pods;
pub use world::{World, key};

use cachebus_api::CacheBus;
use cachebus_core::bus::{Bus, Platform};
use serde_json::{Value, json};

/// What the operator is told in tests.
pub fn platform() -> Platform {
    Platform {
        domain: "cluster.local".to_owned(),
        agent_image: "cachebus:test".to_owned(),
        agent_pull_policy: String::new(),
        engine_images: [("redis-8.0".to_owned(), "redis:test".to_owned())].into(),
        operator_namespace: "cachebus".to_owned(),
    }
}

/// A bus with one service, as people write it.
pub fn manifest(name: &str) -> Value {
    json!({
        "apiVersion": "cachebus.dev/v1alpha1",
        "kind": "CacheBus",
        "metadata": {"name": name, "namespace": "data"},
        "spec": {
            "memory": {"max": "64Mi"},
            "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
            "services": [{"name": "dashboard", "cache": {"read": ["agent"]}}],
        },
    })
}

/// The bus `b` as an API server holds it, validated.
pub fn bus_of(api: &Api) -> Bus {
    let object = serde_json::from_value(api.get("cachebuses", "b").unwrap()).unwrap();
    Bus::validate(&object, &platform()).unwrap()
}

/// The same, validated.
pub fn bus(name: &str) -> Bus {
    let mut object: CacheBus = serde_json::from_value(manifest(name)).unwrap();
    object.metadata.uid = Some(format!("uid-of-{name}"));
    object.metadata.generation = Some(1);
    Bus::validate(&object, &platform()).unwrap()
}
