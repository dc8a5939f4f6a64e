//! What all objects of a bus have in common: names, labels, owner.

use crate::bus::Bus;
use crate::names::{BUS_LABEL, COMPONENT_LABEL, Component, MANAGER};
use cachebus_api::GROUP;
use cachebus_api::engine::EngineKind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use std::collections::BTreeMap;

/// Name, namespace, labels and owner of an object that serves the whole bus.
pub(super) fn of_bus(bus: &Bus, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(bus.names.namespace().to_owned()),
        labels: Some(labels(bus)),
        owner_references: Some(vec![owner(bus)]),
        ..ObjectMeta::default()
    }
}

/// The same of an object that serves one component.
pub(super) fn of_component(bus: &Bus, name: String, component: Component) -> ObjectMeta {
    let mut meta = of_bus(bus, name);
    meta.labels = Some(component_labels(bus, component));
    meta
}

fn labels(bus: &Bus) -> BTreeMap<String, String> {
    let engine = match bus.spec.engine.kind {
        EngineKind::Redis => "redis",
        EngineKind::Valkey => "valkey",
    };
    text([
        ("app.kubernetes.io/name", engine),
        ("app.kubernetes.io/instance", bus.names.bus()),
        ("app.kubernetes.io/managed-by", MANAGER),
        ("app.kubernetes.io/part-of", MANAGER),
        (BUS_LABEL, bus.names.bus()),
    ])
}

pub(super) fn component_labels(bus: &Bus, component: Component) -> BTreeMap<String, String> {
    let mut labels = labels(bus);
    labels.insert(COMPONENT_LABEL.to_owned(), component.to_string());
    labels
}

/// The pods of a component. A StatefulSet's selector cannot change, so nothing that the spec can change is in it.
pub(super) fn selector_labels(bus: &Bus, component: Component) -> BTreeMap<String, String> {
    text([
        (BUS_LABEL, bus.names.bus()),
        (COMPONENT_LABEL, &component.to_string()),
    ])
}

pub(super) fn selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels),
        ..LabelSelector::default()
    }
}

/// All pods of the bus.
pub(super) fn pods_of_bus(bus: &Bus) -> LabelSelector {
    selector(text([(BUS_LABEL, bus.names.bus())]))
}

/// The reference by which the bus owns an object as its controller.
fn owner(bus: &Bus) -> OwnerReference {
    OwnerReference {
        controller: Some(true),
        block_owner_deletion: Some(true),
        ..second_owner(bus)
    }
}

/// The reference by which the bus owns what another object controls: while it stands, the object outlives that other one.
#[must_use]
pub fn second_owner(bus: &Bus) -> OwnerReference {
    OwnerReference {
        api_version: format!("{GROUP}/v1alpha1"),
        kind: "CacheBus".to_owned(),
        name: bus.names.bus().to_owned(),
        uid: bus.uid.clone(),
        controller: None,
        block_owner_deletion: None,
    }
}

pub(super) fn text<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
