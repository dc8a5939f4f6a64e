//! What a bus's Secrets hold.

use crate::context::Context;
use crate::pki;
use crate::secrets::seen;
use cachebus_core::acl;
use cachebus_core::bus::Bus;
use cachebus_core::credentials::{Password, StoredSecrets};
use cachebus_core::names::{
    AUTHORITY_COPY, AUTHORITY_KEY_COPY, Component, REDIS_ACL, SENTINEL_ACL,
};
use cachebus_core::tls::{KeyPair, StoredCertificates};
use k8s_openapi::api::core::v1::Secret;
use std::collections::{BTreeMap, BTreeSet};

/// What a bus's Secrets hold of passwords.
pub fn passwords(context: &Context, bus: &Bus) -> StoredSecrets {
    let names = &bus.names;
    let all = |name: String| seen(context, bus, &name).map(|secret| every_password(&secret));
    let bindings = bus.spec.services.iter().filter_map(|service| {
        let secret = seen(context, bus, &names.binding(&service.name))?;
        Some((
            service.name.clone(),
            Password::new(entry(&secret, "password")?),
        ))
    });
    let acl = seen(context, bus, &names.acl());
    let hashes = [REDIS_ACL, SENTINEL_ACL]
        .iter()
        .filter_map(|file| entry(acl.as_deref()?, file))
        .flat_map(|text| acl::hashes(&text));
    StoredSecrets {
        credentials: all(names.credentials()),
        redis_auth: all(names.auth(Component::Redis)),
        sentinel_auth: all(names.auth(Component::Sentinel)),
        bindings: bindings.collect(),
        hashes: hashes.collect(),
    }
}

/// What a bus's Secrets hold of certificates.
pub fn certificates(context: &Context, bus: &Bus) -> StoredCertificates {
    let names = &bus.names;
    let secret = |name: String| seen(context, bus, &name);
    let own = secret(names.authority());
    let credentials = secret(names.credentials());
    let serving = secret(names.serving_certificate());
    let operator = secret(names.operator_certificate());

    let copies: Vec<KeyPair> = [
        pair(own.as_deref(), ("tls.crt", "tls.key")),
        pair(credentials.as_deref(), (AUTHORITY_COPY, AUTHORITY_KEY_COPY)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let beside = [&serving, &operator]
        .into_iter()
        .filter_map(|secret| entry(secret.as_deref()?, "ca.crt"));
    let known: BTreeSet<String> = copies
        .iter()
        .map(|copy| copy.certificate.clone())
        .chain(beside)
        .collect();
    let leaf = |secret: Option<&Secret>| {
        pki::stored(
            pair(secret, ("tls.crt", "tls.key"))?,
            known.iter().map(String::as_str),
        )
    };
    StoredCertificates {
        serving: leaf(serving.as_deref()),
        operator: leaf(operator.as_deref()),
        authorities: copies
            .into_iter()
            .filter_map(|copy| {
                let itself = copy.certificate.clone();
                pki::stored(copy, [itself.as_str()])
            })
            .collect(),
    }
}

fn every_password(secret: &Secret) -> BTreeMap<String, Password> {
    let entries = secret.data.iter().flatten();
    entries
        .filter_map(|(user, value)| Some((user.clone(), Password::new(text(&value.0)?))))
        .collect()
}

fn pair(secret: Option<&Secret>, entries: (&str, &str)) -> Option<KeyPair> {
    let secret = secret?;
    Some(KeyPair {
        certificate: entry(secret, entries.0)?,
        key: entry(secret, entries.1)?,
    })
}

fn entry(secret: &Secret, key: &str) -> Option<String> {
    text(&secret.data.as_ref()?.get(key)?.0)
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}
