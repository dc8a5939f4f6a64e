//! Fixtures of tests.

#![allow(clippy::unwrap_used)]

use cachebus_api::CacheBus;
use cachebus_core::bus::{Bus, Platform};
use serde_json::json;

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

/// A bus with one service, as the API server holds it.
pub fn object(name: &str) -> CacheBus {
    serde_json::from_value(json!({
        "apiVersion": "cachebus.dev/v1alpha1",
        "kind": "CacheBus",
        "metadata": {
            "name": name, "namespace": "data", "uid": format!("uid-of-{name}"), "generation": 1, "resourceVersion": "1",
        },
        "spec": {
            "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
            "services": [{"name": "dashboard", "cache": {"read": ["agent"]}}],
        },
    }))
    .unwrap()
}

/// The same, validated.
pub fn bus(name: &str) -> Bus {
    Bus::validate(&object(name), &platform()).unwrap()
}
