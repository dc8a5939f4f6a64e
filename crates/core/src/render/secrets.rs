//! The Secrets of a bus.

use super::meta;
use crate::acl::AclFiles;
use crate::binding;
use crate::bus::Bus;
use crate::credentials::{Credentials, mounted};
use crate::names::{AUTHORITY_COPY, AUTHORITY_KEY_COPY, Component, REDIS_ACL, SENTINEL_ACL};
use crate::tls::{Authority, Certificates, KeyPair};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use std::collections::BTreeMap;

const OPAQUE: &str = "Opaque";
const TLS: &str = "kubernetes.io/tls";

/// Every password of the bus by user, the source of all other copies, and the second copy of the authority. It is created
/// once and then kept; no pod mounts it.
#[must_use]
pub fn credentials(bus: &Bus, credentials: &Credentials, authority: &Authority) -> Secret {
    let passwords = credentials.passwords.iter();
    let passwords = passwords.map(|(user, password)| (user.as_str(), password.expose()));
    let copy = authority.pair().into_iter().flat_map(|pair| {
        [
            (AUTHORITY_COPY, pair.certificate.as_str()),
            (AUTHORITY_KEY_COPY, pair.key.as_str()),
        ]
    });
    secret(bus, bus.names.credentials(), OPAQUE, passwords.chain(copy))
}

/// The bus's certificate authority, unless its key is lost. It is created once and then kept; no pod mounts it.
#[must_use]
pub fn authority(bus: &Bus, authority: &Authority) -> Option<Secret> {
    let pair = authority.pair()?;
    Some(key_pair(bus, bus.names.authority(), pair, authority))
}

/// The internal passwords that a component's pods mount.
#[must_use]
pub fn auth(bus: &Bus, component: Component, credentials: &Credentials) -> Secret {
    let entries = mounted(component).iter().filter_map(|user| {
        let password = credentials.passwords.get(*user)?;
        Some((*user, password.expose()))
    });
    secret(bus, bus.names.auth(component), OPAQUE, entries)
}

/// The users of data nodes and Sentinels: hashes only.
#[must_use]
pub fn acl(bus: &Bus, files: &AclFiles) -> Secret {
    let entries = [
        (REDIS_ACL, files.redis.as_str()),
        (SENTINEL_ACL, files.sentinel.as_str()),
    ];
    secret(bus, bus.names.acl(), OPAQUE, entries)
}

/// What every pod serves with.
#[must_use]
pub fn serving_certificate(bus: &Bus, certificates: &Certificates) -> Secret {
    let Certificates {
        authority, serving, ..
    } = certificates;
    key_pair(bus, bus.names.serving_certificate(), serving, authority)
}

/// What the operator connects to agents with.
#[must_use]
pub fn operator_certificate(bus: &Bus, certificates: &Certificates) -> Secret {
    let Certificates {
        authority,
        operator,
        ..
    } = certificates;
    key_pair(bus, bus.names.operator_certificate(), operator, authority)
}

/// The Secret of each service, by the service's name. A service without a password gets none.
pub(super) fn bindings(
    bus: &Bus,
    credentials: &Credentials,
    ca_pem: &str,
) -> BTreeMap<String, Secret> {
    bus.spec
        .services
        .iter()
        .filter_map(|service| {
            let password = credentials.passwords.get(&service.name)?;
            let data = binding::secret(bus, service, password, ca_pem);
            let entries = data.iter().map(|(key, value)| (*key, value.as_str()));
            let name = bus.names.binding(&service.name);
            Some((
                service.name.clone(),
                secret(bus, name, binding::SECRET_TYPE, entries),
            ))
        })
        .collect()
}

fn key_pair(bus: &Bus, name: String, pair: &KeyPair, authority: &Authority) -> Secret {
    let entries = [
        ("tls.crt", pair.certificate.as_str()),
        ("tls.key", pair.key.as_str()),
        ("ca.crt", authority.certificate()),
    ];
    secret(bus, name, TLS, entries)
}

fn secret<'a>(
    bus: &Bus,
    name: String,
    type_: &str,
    entries: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Secret {
    Secret {
        metadata: meta::of_bus(bus, name),
        type_: Some(type_.to_owned()),
        data: Some(
            entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())))
                .collect(),
        ),
        ..Secret::default()
    }
}
