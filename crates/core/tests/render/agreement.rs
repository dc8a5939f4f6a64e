//! What a service is told that it may use is what its user may use.

use crate::fixture::{SERVICES, bus, credentials};
use cachebus_core::{acl, binding};
use serde_json::Value;

/// Texts of the contract that stand for keys or channels: those below `events`, by their names.
fn granted(contract: &Value) -> Vec<String> {
    let events = ["publish", "subscribe"].map(|side| contract["events"][side].as_array().unwrap());
    let fields = ["channel", "historyKey", "streamKey", "deadLetterKey"];
    events
        .into_iter()
        .flatten()
        .flat_map(|event| fields.map(|field| event[field].as_str()))
        .flatten()
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_key_and_channel_of_a_contract_is_in_the_rules_of_its_user() {
    let bus = bus(SERVICES);
    let credentials = credentials(&bus);
    let users = acl::files(&bus, &credentials).redis;
    for service in &bus.spec.services {
        let data = binding::secret(&bus, service, &credentials.passwords[&service.name], "");
        let granted = granted(&serde_json::from_str(&data[binding::CONTRACT]).unwrap());
        let rules = users
            .lines()
            .find(|line| line.starts_with(&format!("user {} ", service.name)))
            .unwrap();
        assert!(granted.len() > 4, "{granted:?}");
        for text in granted {
            let mut rules = rules.split([' ', '(', ')']);
            assert!(
                rules.any(|rule| rule.trim_start_matches(['%', 'R', 'W', '~', '&']) == text),
                "{} may not use {text}",
                service.name
            );
        }
    }
}
