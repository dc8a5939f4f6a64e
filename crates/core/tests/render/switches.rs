//! Cache and event bus, switched off for all services or for one.

use crate::fixture::{SERVICES, bus, credentials, objects, rendered};
use cachebus_core::acl;
use cachebus_core::bus::Bus;
use serde_json::Value;

/// Whether the contract of a service says that it uses the cache, and the event bus.
fn told(bus: &Bus, service: &str) -> (bool, bool) {
    let objects = objects(&rendered(bus));
    let contract = objects[&format!("binding_{service}")]["data"]["contract.json"].as_str();
    let contract: Value = serde_json::from_str(contract.unwrap()).unwrap();
    let enabled = |half: &str| contract[half]["enabled"].as_bool().unwrap();
    (enabled("cache"), enabled("events"))
}

#[test]
fn a_service_uses_what_is_on_for_all_and_for_itself_and_keeps_its_rights() {
    let rights = |bus: &Bus| acl::files(bus, &credentials(bus)).redis;
    let usual = rights(&bus(SERVICES));
    for (cache, events) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut bus = bus(SERVICES);
        let dashboard = &mut bus.spec.services[0];
        assert_eq!(dashboard.name, "dashboard");
        dashboard.cache.enabled = cache;
        dashboard.events.enabled = events;
        assert_eq!(told(&bus, "dashboard"), (cache, events));
        assert_eq!(told(&bus, "agent_designer"), (true, true));
        bus.spec.cache.enabled = false;
        assert_eq!(told(&bus, "dashboard"), (false, events));
        assert_eq!(told(&bus, "agent_designer"), (false, true));
        bus.spec.events.enabled = false;
        assert_eq!(told(&bus, "dashboard"), (false, false));
        assert_eq!(rights(&bus), usual);
    }
}

#[test]
fn a_service_of_which_nothing_is_said_uses_both() {
    let service = &bus("services: [{name: s, cache: {read: []}, events: {}}, {name: t}]")
        .spec
        .services;
    for service in service {
        assert!(service.cache.enabled && service.events.enabled);
    }
}
