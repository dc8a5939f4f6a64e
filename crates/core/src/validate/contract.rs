//! Keyspaces, channels and services.

use super::violation;
use crate::acl::Template;
use crate::bus::Violation;
use crate::credentials::INTERNAL_USERS;
use cachebus_api::CacheBusSpec;
use cachebus_api::contract::{Channel, Keyspace, Service};

pub(super) fn violations(spec: &CacheBusSpec) -> Vec<Violation> {
    let keyspaces = &spec.cache.keyspaces;
    let mut violations: Vec<Violation> = keyspaces.iter().filter_map(reserved_key).collect();
    violations.extend(overlaps(keyspaces));
    for (index, service) in spec.services.iter().enumerate() {
        violations.extend(user(service));
        violations.extend(secret(service, &spec.services[..index]));
        violations.extend(references(service, keyspaces, &spec.events.channels));
    }
    violations
}

fn reserved_key(keyspace: &Keyspace) -> Option<Violation> {
    ["events:", "__"]
        .into_iter()
        .find(|prefix| keyspace.key.starts_with(prefix))
        .map(|prefix| {
            violation(
                format!("spec.cache.keyspaces[{}].key", keyspace.name),
                "KeyReserved",
                format!("keys that begin with {prefix} belong to the bus"),
            )
        })
}

/// Pairs of keyspaces whose keys no pattern tells apart, so that rights on one would be rights on the other.
fn overlaps(keyspaces: &[Keyspace]) -> Vec<Violation> {
    let templates: Vec<Template> = keyspaces
        .iter()
        .map(|keyspace| Template::parse(&keyspace.key))
        .collect();
    let mut violations = Vec::new();
    for (index, (keyspace, template)) in keyspaces.iter().zip(&templates).enumerate() {
        let earlier = keyspaces.iter().zip(&templates).take(index);
        for (other, _) in earlier.filter(|(_, other)| template.overlaps(other)) {
            violations.push(violation(
                format!("spec.cache.keyspaces[{}].key", keyspace.name),
                "KeyspaceOverlap",
                format!(
                    "rights on {} cannot be told from rights on {} (spec.cache.keyspaces[{}].key): let them differ before the first placeholder",
                    keyspace.key, other.key, other.name
                ),
            ));
        }
    }
    violations
}

fn user(service: &Service) -> Option<Violation> {
    let reserved = service.name == "default" || INTERNAL_USERS.contains(&service.name.as_str());
    reserved.then(|| {
        violation(
            format!("spec.services[{}].name", service.name),
            "NameReserved",
            format!("{} is a user of the bus itself", service.name),
        )
    })
}

/// `_` becomes `-` in the name of a service's Secret.
fn secret(service: &Service, earlier: &[Service]) -> Option<Violation> {
    let plain = |name: &str| name.replace('_', "-");
    let other = earlier
        .iter()
        .find(|other| plain(&other.name) == plain(&service.name))?;
    Some(violation(
        format!("spec.services[{}].name", service.name),
        "NameTaken",
        format!(
            "its Secret would have the name of that of spec.services[{}]",
            other.name
        ),
    ))
}

fn references(service: &Service, keyspaces: &[Keyspace], channels: &[Channel]) -> Vec<Violation> {
    let keyspace = |name: &str| keyspaces.iter().any(|keyspace| keyspace.name == name);
    let channel = |name: &str| channels.iter().any(|channel| declares(channel, name));
    let unknown_keyspaces = [
        ("cache.read", &service.cache.read),
        ("cache.write", &service.cache.write),
    ]
    .into_iter()
    .flat_map(|(field, names)| unknown(service, field, names, keyspace, "spec.cache.keyspaces"));
    let unknown_channels = [
        ("publish", &service.publish),
        ("subscribe", &service.subscribe),
    ]
    .into_iter()
    .flat_map(|(field, names)| unknown(service, field, names, channel, "spec.events.channels"));
    unknown_keyspaces.chain(unknown_channels).collect()
}

/// Whether `name` is the group (`task`) or one event of it (`task:completed`).
fn declares(channel: &Channel, name: &str) -> bool {
    name.strip_prefix(&channel.name)
        .is_some_and(|rest| match rest.strip_prefix(':') {
            Some(event) => channel.events.iter().any(|known| known == event),
            None => rest.is_empty(),
        })
}

/// A violation for each entry of a service's list that is not declared.
fn unknown(
    service: &Service,
    field: &str,
    names: &[String],
    declared: impl Fn(&str) -> bool,
    place: &str,
) -> Vec<Violation> {
    names
        .iter()
        .filter(|name| !declared(name))
        .map(|name| {
            violation(
                format!("spec.services[{}].{field}[{name}]", service.name),
                "ReferenceUnknown",
                format!("{place} declares no {name}"),
            )
        })
        .collect()
}
