//! The samples say nothing that is not understood, and nothing that is refused.
#![allow(clippy::unwrap_used)]

use cachebus_api::CacheBus;
use cachebus_core::bus::{Bus, Platform};
use serde_json::Value;
use std::collections::BTreeMap;

const SAMPLES: [(&str, &str); 3] = [
    (
        "platform",
        include_str!("../../../config/samples/platform.yaml"),
    ),
    ("small", include_str!("../../../config/samples/small.yaml")),
    (
        "valkey",
        include_str!("../../../config/samples/valkey.yaml"),
    ),
];

fn bus_of(sample: &str) -> Value {
    sample
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str::<Value>(document).unwrap())
        .find(|document| document["kind"] == "CacheBus")
        .unwrap()
}

/// Paths of what is in `said` and not in `understood`.
fn lost(path: &str, said: &Value, understood: &Value) -> Vec<String> {
    match (said, understood) {
        (Value::Object(said), Value::Object(understood)) => said
            .iter()
            .flat_map(|(key, value)| {
                let understood = understood.get(key).unwrap_or(&Value::Null);
                lost(&format!("{path}.{key}"), value, understood)
            })
            .collect(),
        (Value::Array(said), Value::Array(understood)) if said.len() == understood.len() => said
            .iter()
            .zip(understood)
            .enumerate()
            .flat_map(|(index, (said, understood))| {
                lost(&format!("{path}[{index}]"), said, understood)
            })
            .collect(),
        (said, understood) if said == understood => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

#[test]
fn are_understood_word_for_word() {
    for (name, sample) in SAMPLES {
        let said = bus_of(sample);
        let object: CacheBus = serde_json::from_value(said.clone()).unwrap();
        let understood = serde_json::to_value(&object).unwrap();
        assert_eq!(lost("", &said, &understood), [""; 0], "{name}");
    }
}

#[test]
fn are_not_refused() {
    let platform = Platform {
        domain: "cluster.local".to_owned(),
        agent_image: "agent".to_owned(),
        agent_pull_policy: String::new(),
        engine_images: BTreeMap::from([
            ("redis-8.0".to_owned(), "engine".to_owned()),
            ("valkey-9.1".to_owned(), "engine".to_owned()),
        ]),
        operator_namespace: "o".to_owned(),
    };
    for (name, sample) in SAMPLES {
        let object: CacheBus = serde_json::from_value(bus_of(sample)).unwrap();
        let bus = Bus::validate(&object, &platform);
        assert!(bus.is_ok(), "{name}: {:?}", bus.unwrap_err());
    }
}

#[test]
fn the_platform_is_the_whole_contract() {
    let object: CacheBus = serde_json::from_value(bus_of(SAMPLES[0].1)).unwrap();
    let channels = &object.spec.events.channels;
    assert_eq!(object.spec.cache.keyspaces.len(), 9);
    assert_eq!(
        channels
            .iter()
            .map(|group| group.events.len())
            .sum::<usize>(),
        19
    );
    assert!(object.spec.services.len() >= 4);
}
