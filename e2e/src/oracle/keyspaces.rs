//! Attempts on keys of the cache.

use std::collections::BTreeSet;

use cachebus_api::CacheBusSpec;
use cachebus_api::contract::{Keyspace, KeyspaceKind, Service};

use super::commands::{Right, rights_for};

/// The rights of a service on a keyspace.
fn rights_on(keyspace: &Keyspace, service: &Service) -> BTreeSet<Right> {
    let writes = service.cache.write.contains(&keyspace.name);
    let reads = writes || service.cache.read.contains(&keyspace.name);
    let write = match keyspace.kind {
        KeyspaceKind::Cache => Right::Write,
        KeyspaceKind::Lock => Right::Lock,
    };
    [(reads, Right::Read), (writes, write)]
        .into_iter()
        .filter_map(|(has, right)| has.then_some(right))
        .collect()
}

/// The rights of a service on keyspaces of whatever name.
pub fn rights(spec: &CacheBusSpec, service: &Service) -> BTreeSet<Right> {
    spec.cache
        .keyspaces
        .iter()
        .flat_map(|keyspace| rights_on(keyspace, service))
        .collect()
}

/// Each attempt on a key of a keyspace: what it is about, the command, whether it is allowed.
pub fn attempts(spec: &CacheBusSpec, service: &Service) -> Vec<(String, Vec<String>, bool)> {
    let mut all = Vec::new();
    for keyspace in &spec.cache.keyspaces {
        let rights = rights_on(keyspace, service);
        for key in instances(keyspace, &spec.cache.keyspaces) {
            for command in operations(&key) {
                let name = command[0].to_ascii_lowercase();
                let allowed = rights_for(&name).iter().any(|right| rights.contains(right));
                all.push((format!("keyspace {}", keyspace.name), command, allowed));
            }
        }
    }
    all
}

/// One command of each kind of use. None leaves behind what hinders the next.
pub fn operations(key: &str) -> Vec<Vec<String>> {
    [
        "GET {key}",
        "MGET {key}",
        "PTTL {key}",
        "SET {key} 1 EX 60",
        "INCR {key}",
        "EXPIRE {key} 60",
        "EVAL return(1) 1 {key}",
        "FCALL nothing 1 {key}",
        "DEL {key}",
        "UNLINK {key}",
        "LPUSH {key} 1",
        "XADD {key} * a 1",
        "HSET {key} a 1",
        "RENAME {key} {key}",
        "SORT {key} BY nosort GET {key}",
    ]
    .into_iter()
    .map(|words| {
        words
            .split(' ')
            .map(|word| word.replace("{key}", key))
            .collect()
    })
    .collect()
}

/// Keys of a keyspace, among them those whose identifiers begin as a longer literal part of another keyspace does.
fn instances(keyspace: &Keyspace, all: &[Keyspace]) -> BTreeSet<String> {
    let (prefix, _) = keyspace.key.split_once('{').unwrap_or((&keyspace.key, ""));
    let longer = all.iter().filter_map(|other| {
        let (literal, _) = other.key.split_once('{')?;
        let rest = literal.strip_prefix(prefix)?.trim_end_matches(':');
        (!rest.is_empty() && !rest.contains(':')).then_some(rest)
    });
    let mut identifiers = BTreeSet::from(["e2e".to_owned()]);
    for rest in longer {
        identifiers.extend([&rest[..1], rest, &rest[..rest.len() - 1]].map(str::to_owned));
        identifiers.insert(format!("{rest}s"));
    }
    identifiers
        .iter()
        .map(|identifier| fill(&keyspace.key, identifier))
        .collect()
}

/// The key with every placeholder filled.
fn fill(template: &str, identifier: &str) -> String {
    let mut parts = template.split(':').map(|part| {
        if part.starts_with('{') {
            identifier
        } else {
            part
        }
    });
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |key, part| key + ":" + part)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn keyspace(name: &str, key: &str) -> Keyspace {
        serde_json::from_value(serde_json::json!({"name": name, "key": key, "ttl": "1h"})).unwrap()
    }

    #[test]
    fn instances_come_close_to_the_longer_keyspace_and_stay_out_of_it() {
        let all = [
            keyspace("task", "task:{id}"),
            keyspace("result", "task:result:{id}"),
        ];
        let keys = instances(&all[0], &all);
        assert!(
            keys.contains("task:result")
                && keys.contains("task:results")
                && keys.contains("task:r")
        );
        assert!(!keys.iter().any(|key| key.starts_with("task:result:")));
        assert_eq!(
            instances(&all[1], &all),
            BTreeSet::from(["task:result:e2e".to_owned()])
        );
    }

    #[test]
    fn every_placeholder_is_filled() {
        assert_eq!(fill("knowledge:{agent}:{id}", "7"), "knowledge:7:7");
        assert_eq!(fill("agents:all", "7"), "agents:all");
    }
}
