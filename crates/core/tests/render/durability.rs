//! What clients are told of when a write is done.

use crate::fixture::{SERVICES, bus, credentials};
use cachebus_core::binding;
use cachebus_core::config::settings;
use serde_json::{Value, json};

/// The part of the contract, and the replicas without which the primary refuses writes.
fn told(spec: &str) -> (Value, String) {
    let bus = bus(&format!("{SERVICES}\n{spec}"));
    let service = &bus.spec.services[0];
    let password = &credentials(&bus).passwords[&service.name];
    let secret = binding::secret(&bus, service, password, "");
    let contract: Value = serde_json::from_str(&secret[binding::CONTRACT]).unwrap();
    let needed = settings(&bus)["min-replicas-to-write"].clone();
    (contract["durability"].clone(), needed)
}

#[test]
fn writes_are_not_confirmed_unless_the_spec_says_so() {
    assert_eq!(told("").0, json!({"mode": "async"}));
}

#[test]
fn a_majority_of_the_copies_confirms_with_the_primary_among_them() {
    for (replicas, needed) in [(2, 1), (3, 2), (4, 2), (9, 5)] {
        let spec = format!("replicas: {replicas}\nreplication: {{durability: Quorum}}");
        let confirm = json!({"command": "WAIT", "replicas": needed, "timeoutMs": 1_000});
        let mode = json!({"mode": "quorum", "confirm": confirm});
        assert_eq!(told(&spec), (mode, needed.to_string()), "{replicas}");
        let copies = replicas + 1;
        assert!((needed + 1) * 2 > copies && needed * 2 <= copies);
    }
}

#[test]
fn files_confirm_where_they_are_written_at_once_and_the_engine_can_tell() {
    let spec = |engine: &str, aof: &str| {
        format!(
            "engine: {engine}\npersistence: {{aof: {aof}}}\nreplication: {{durability: Quorum}}"
        )
    };
    let command = |spec: &str| told(spec).0["confirm"]["command"].clone();
    let valkey = "{kind: Valkey, version: '9.1'}";
    let (mode, _) = told(&spec(valkey, "always"));
    assert_eq!(
        mode["confirm"],
        json!({"command": "WAITAOF", "local": 1, "replicas": 1, "timeoutMs": 1_000})
    );
    assert_eq!(command(&spec(valkey, "everysec")), "WAIT");
    let old = "{kind: Redis, version: '7.0'}";
    assert_eq!(command(&spec(old, "always")), "WAIT");
}
