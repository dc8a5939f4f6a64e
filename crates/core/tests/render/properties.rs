//! What holds for the objects of any bus.

use crate::fixture::{bus, certificates, credentials, objects, rendered};
use cachebus_core::bus::Bus;
use cachebus_core::config::{redis_conf, settings};
use proptest::prelude::*;
use serde_json::Value;

prop_compose! {
    fn any_bus()(
        replicas in 0_u32..=9,
        sentinels in prop_oneof![Just(3_u32), Just(5), Just(7), Just(9)],
        tls in prop_oneof![Just("Required"), Just("Optional"), Just("Disabled")],
        engine in prop_oneof![Just(("Redis", "7.0")), Just(("Redis", "8.2")), Just(("Valkey", "9.1"))],
        memory in 1_u32..100_000,
        reclaim in prop_oneof![Just("Retain"), Just("Delete")],
        services in 0_usize..6,
        text in any::<String>(),
    ) -> Bus {
        let mut bus = bus(&format!(
            "
engine: {{kind: {}, version: '{}'}}
replicas: {replicas}
sentinel: {{replicas: {sentinels}}}
memory: {{max: {memory}Mi}}
storage: {{reclaim: {reclaim}}}
tls: {{mode: {tls}}}
services: [{}]
",
            engine.0,
            engine.1,
            (0..services).map(|n| format!("{{name: s{n}}}")).collect::<Vec<_>>().join(","),
        ));
        bus.spec.config.insert("locale-collate".to_owned(), text);
        bus
    }
}

fn authority_key() -> String {
    certificates().authority.pair().unwrap().key.clone()
}

fn secret_texts(bus: &Bus) -> Vec<String> {
    let certificates = certificates();
    let passwords = credentials(bus).passwords;
    passwords
        .values()
        .map(|password| password.expose().to_owned())
        .chain([
            authority_key(),
            certificates.serving.key,
            certificates.operator.key,
        ])
        .map(|text| text.trim().to_owned())
        .collect()
}

proptest! {
    #[test]
    fn the_same_bus_gives_the_same_objects(bus in any_bus()) {
        prop_assert!(rendered(&bus) == rendered(&bus));
    }

    #[test]
    fn no_secret_is_outside_of_secrets(bus in any_bus()) {
        let secrets = secret_texts(&bus);
        let mut carriers = 0;
        for (field, object) in objects(&rendered(&bus)) {
            let text = object.to_string();
            let found = secrets.iter().any(|secret| text.contains(secret));
            carriers += u32::from(found);
            prop_assert!(!found || object.get("data").is_some() && object.get("type").is_some(), "{field}");
        }
        // Two of passwords, two of certificates, and the bindings.
        prop_assert_eq!(carriers as usize, 4 + bus.spec.services.len());
    }

    #[test]
    fn the_authoritys_key_is_in_no_rendered_object(bus in any_bus()) {
        let key = authority_key();
        for (field, object) in objects(&rendered(&bus)) {
            prop_assert!(!object.to_string().contains(key.trim()), "{field}");
        }
    }

    #[test]
    fn a_bus_owns_each_of_its_objects(bus in any_bus()) {
        for (field, object) in objects(&rendered(&bus)) {
            let meta = &object["metadata"];
            prop_assert_eq!(&meta["ownerReferences"][0]["uid"], &Value::from(bus.uid.as_str()), "{}", field);
            prop_assert_eq!(&meta["namespace"], "data", "{}", field);
            prop_assert_eq!(&meta["labels"]["cachebus.dev/bus"], "platform", "{}", field);
            prop_assert!(meta["name"].as_str().unwrap().len() <= 63, "{field}");
        }
    }

    #[test]
    fn no_value_adds_a_line_to_the_configuration(bus in any_bus()) {
        prop_assert_eq!(redis_conf(&bus).lines().count(), settings(&bus).len());
        prop_assert!(redis_conf(&bus).is_ascii());
    }
}
