//! What of a bus there is on one machine: a server that stands alone.

use cachebus_admin::LiveConfig;
use cachebus_api::engine::EngineKind;
use cachebus_api::persistence::Aof;
use cachebus_api::settings::TlsMode;
use cachebus_core::bus::Bus;
use cachebus_core::config::{is_live, same, settings};
use cachebus_core::engine::{self, Capabilities, SUPPORTED};
use std::collections::BTreeMap;

/// Where a server that is started listens.
pub(crate) const HOST: &str = "127.0.0.1";

/// Directives of a server that is started here, whatever the spec says.
const OWN: [&str; 4] = ["aclfile", "bind", "dir", "port"];
/// Directives of a server that somebody else has started: what the contract rests on, and nothing of theirs besides.
const CONTRACTS: [&str; 2] = ["maxmemory", "maxmemory-policy"];

/// The bus as one server of this engine carries it out: no replica, no Sentinel, no TLS, and files only where data is kept.
/// The contract is the same: a write that a majority of the copies has to confirm is confirmed by none besides the one.
pub(crate) fn alone(bus: &Bus, engine: &'static Capabilities, keep: bool) -> Bus {
    let mut bus = bus.for_engine(engine);
    bus.replicas = 0;
    let spec = &mut bus.spec;
    spec.replicas = 0;
    spec.replication.min_replicas_to_write = Some(0);
    spec.tls.mode = TlsMode::Disabled;
    spec.persistence.rdb.clear();
    spec.persistence.aof = if keep { Aof::Everysec } else { Aof::Disabled };
    bus
}

/// Directives of a server that is started with this port, folder of data and ACL file.
pub(crate) fn directives(
    bus: &Bus,
    port: u16,
    folder: &str,
    acl_file: &str,
) -> BTreeMap<String, String> {
    let mut all = settings(bus);
    // A server may be built without TLS; then it does not know these.
    all.retain(|name, _| !name.starts_with("tls-"));
    let values = [
        acl_file.to_owned(),
        HOST.to_owned(),
        folder.to_owned(),
        port.to_string(),
    ];
    all.extend(OWN.map(str::to_owned).into_iter().zip(values));
    all
}

/// What a running server is to be told so that it has the bus's settings, as far as they can be told; `own`: it was started here.
pub(crate) fn changes(bus: &Bus, live: &LiveConfig, own: bool) -> BTreeMap<String, String> {
    let raw = |name: &str| {
        bus.spec
            .config
            .keys()
            .any(|raw| raw.eq_ignore_ascii_case(name))
    };
    let concerns = |name: &str| {
        if own {
            !OWN.contains(&name)
        } else {
            CONTRACTS.contains(&name) || raw(name)
        }
    };
    settings(bus)
        .into_iter()
        .filter(|(name, desired)| {
            concerns(name)
                && is_live(name, bus.engine)
                && live
                    .get(name)
                    .is_some_and(|value| !same(name, desired, value))
        })
        .collect()
}

/// What the engine of this release can do; of one that is newer than all that are known, what the newest known can that is no newer.
/// `None`: it is older than all.
pub(crate) fn capabilities(kind: EngineKind, release: &str) -> Option<&'static Capabilities> {
    let number = |version: &str| -> Option<(u32, u32)> {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let line = number(engine::line(release))?;
    // Older ones come before newer ones.
    SUPPORTED.iter().rfind(|known| {
        known.kind == kind && number(known.version).is_some_and(|known| known <= line)
    })
}

/// Kind and release that a server's `--version` says.
pub(crate) fn release(said: &str) -> Option<(EngineKind, &str)> {
    let kind = match said.split_whitespace().next()? {
        "Redis" => EngineKind::Redis,
        "Valkey" => EngineKind::Valkey,
        _ => return None,
    };
    let release = said
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))?;
    Some((kind, release))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::manifest;
    use cachebus_api::engine::EngineKind::{Redis, Valkey};

    fn bus(spec: &str, keep: bool) -> Bus {
        let text = format!(
            "apiVersion: cachebus.dev/v1alpha1\nkind: CacheBus\nmetadata: {{name: b}}\nspec: {spec}"
        );
        let bus = manifest::bus(&text).unwrap();
        alone(&bus, bus.engine, keep)
    }

    #[test]
    fn a_server_says_its_kind_and_release() {
        for (said, expected) in [
            (
                "Redis server v=7.0.15 sha=0:0 malloc=jemalloc bits=64",
                Some((Redis, "7.0.15")),
            ),
            ("Valkey server v=9.1.2 sha=0:0", Some((Valkey, "9.1.2"))),
            ("KeyDB server v=6.3.4", None),
            ("Redis server", None),
            ("", None),
        ] {
            assert_eq!(release(said), expected);
        }
    }

    #[test]
    fn a_release_that_is_newer_than_all_is_taken_for_the_newest() {
        for (kind, release, version) in [
            (Redis, "7.0.15", Some("7.0")),
            (Redis, "8.0.6", Some("8.0")),
            (Redis, "8.1.0", Some("8.0")),
            (Redis, "99.1.0", Some("8.2")),
            (Valkey, "7.2.5", None),
            (Valkey, "9.1.2", Some("9.1")),
            (Redis, "6.2.20", None),
            (Redis, "unstable", None),
        ] {
            let found = capabilities(kind, release).map(|engine| engine.version);
            assert_eq!(found, version, "{release}");
        }
    }

    #[test]
    fn a_server_alone_needs_no_replica_no_certificate_and_no_file() {
        let spec = "{memory: {max: 64Mi, policy: volatile-lru}, config: {notify-keyspace-events: Ex}, replication: {durability: Quorum}}";
        let directives = directives(&bus(spec, false), 7000, "/state", "/state/users.acl");
        for (name, value) in [
            ("aclfile", "/state/users.acl"),
            ("appendonly", "no"),
            ("bind", "127.0.0.1"),
            ("dir", "/state"),
            ("maxmemory", "67108864"),
            ("maxmemory-policy", "volatile-lru"),
            ("min-replicas-to-write", "0"),
            ("port", "7000"),
            ("save", ""),
        ] {
            assert_eq!(directives[name], value, "{name}");
        }
        assert!(directives.contains_key("notify-keyspace-events"));
        assert!(!directives.keys().any(|name| name.starts_with("tls-")));
        let kept = super::directives(&bus(spec, true), 7000, "/state/data", "/state/users.acl");
        assert_eq!(kept["appendonly"], "yes");
    }
}
