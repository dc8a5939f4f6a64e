//! A bus with two services, and what its objects are made of.

use cachebus_api::CacheBusSpec;
use cachebus_core::acl::AclFiles;
use cachebus_core::bus::{Bus, Platform, electorate};
use cachebus_core::credentials::{Credentials, INTERNAL_USERS, Password};
use cachebus_core::engine;
use cachebus_core::names::{Component, Names};
use cachebus_core::observed::SetView;
use cachebus_core::render::{Endpoint, Inputs, Rendered, Routes, render};
use cachebus_core::tls::{Authority, Certificates, KeyPair};
use k8s_openapi::api::core::v1::Secret;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub const SERVICES: &str = r#"
cache:
  keyspaces:
    - {name: agent, key: "agent:{id}", ttl: 1h}
    - {name: session, key: "session:{token}", ttl: 24h}
    - {name: lock, key: "lock:{resource}", ttl: 30s, kind: Lock}
events:
  channels:
    - {name: task, events: [created, completed], durable: true}
    - {name: ws, events: [connect, message], history: 0}
services:
  - name: dashboard
    cache: {read: [agent], write: [session]}
    publish: [ws]
    subscribe: [task]
  - name: agent_designer
    cache: {write: [agent, lock]}
    publish: ["task:completed", task]
"#;

/// A bus whose spec is this YAML, completed by the defaults.
pub fn bus(spec: &str) -> Bus {
    let spec: CacheBusSpec = serde_saphyr::from_str(spec).unwrap();
    let engine = engine::capabilities(spec.engine.kind, &spec.engine.version).unwrap();
    let image = spec.engine.image.clone();
    Bus {
        names: Names::new("platform", "data", "cluster.local"),
        uid: "0ecb5e1c-9d5c-4f1e-8b1a-2f6f1d3a9c77".to_owned(),
        generation: 3,
        image: image.unwrap_or_else(|| format!("example.com/engine:{}", spec.engine.version)),
        engine,
        replicas: spec.replicas,
        electorate: electorate(&spec),
        spec,
    }
}

pub fn platform() -> Platform {
    Platform {
        domain: "cluster.local".to_owned(),
        agent_image: "example.com/cachebus:0.1.0".to_owned(),
        agent_pull_policy: String::new(),
        engine_images: BTreeMap::new(),
        operator_namespace: "cachebus-system".to_owned(),
    }
}

/// One password for each user, told apart by the user's name.
pub fn credentials(bus: &Bus) -> Credentials {
    let services = bus
        .spec
        .services
        .iter()
        .map(|service| service.name.as_str());
    let password = |user: &str| format!("secret{:X<34}", user.replace(['_', '-'], "Q"));
    Credentials {
        passwords: INTERNAL_USERS
            .into_iter()
            .chain(services)
            .map(|user| (user.to_owned(), Password::new(password(user))))
            .collect(),
    }
}

pub fn certificates() -> Certificates {
    let pair = |name: &str| KeyPair {
        certificate: format!("certificate of the {name}\n"),
        key: format!("secret key of the {name}\n"),
    };
    Certificates {
        authority: Authority::Whole(pair("authority")),
        serving: pair("servers"),
        operator: pair("operator"),
    }
}

pub fn endpoint(ordinal: u8) -> Endpoint {
    Endpoint {
        pod: format!("platform-redis-{ordinal}"),
        ip: format!("10.0.0.{ordinal}"),
        node: Some(format!("node-{ordinal}")),
        ready: true,
    }
}

pub fn rendered(bus: &Bus) -> Rendered {
    let routes = Routes {
        primary: Some(endpoint(0)),
        stays: false,
        replicas: vec![endpoint(1), endpoint(2)],
    };
    rendered_with(bus, &routes, &Sets::new())
}

/// The StatefulSets that exist.
pub type Sets = BTreeMap<Component, SetView>;

pub fn rendered_with(bus: &Bus, routes: &Routes, sets: &Sets) -> Rendered {
    rendered_asleep(bus, routes, sets, &BTreeSet::new())
}

pub fn rendered_asleep(
    bus: &Bus,
    routes: &Routes,
    sets: &Sets,
    asleep: &BTreeSet<Component>,
) -> Rendered {
    let inputs = Inputs {
        credentials: &credentials(bus),
        certificates: &certificates(),
        acl: &AclFiles {
            redis: "user redis-users\n".to_owned(),
            sentinel: "user sentinel-users\n".to_owned(),
        },
        kept: routes.primary.as_ref().map(|primary| primary.pod.as_str()),
        routes,
        asleep,
        sets,
    };
    render(bus, &platform(), &inputs)
}

/// Every object by field, Secrets with their entries as text.
pub fn objects(rendered: &Rendered) -> BTreeMap<String, Value> {
    let Rendered {
        config,
        last_valid,
        redis_auth,
        sentinel_auth,
        acl,
        serving_certificate,
        operator_certificate,
        bindings,
        redis_account,
        sentinel_account,
        backup_account,
        redis_network,
        sentinel_network,
        backup_network,
        redis_nodes,
        sentinel_nodes,
        primary,
        replicas,
        sentinels,
        primary_endpoints,
        replicas_endpoints,
        redis,
        sentinel,
        redis_budget,
        sentinel_budget,
    } = rendered;
    let mut objects: BTreeMap<String, Value> = [
        ("config", value(config)),
        ("last_valid", value(last_valid)),
        ("redis_auth", secret(redis_auth)),
        ("sentinel_auth", secret(sentinel_auth)),
        ("acl", secret(acl)),
        ("serving_certificate", secret(serving_certificate)),
        ("operator_certificate", secret(operator_certificate)),
        ("redis_account", value(redis_account)),
        ("sentinel_account", value(sentinel_account)),
        ("backup_account", value(backup_account)),
        ("backup_network", value(backup_network)),
        ("redis_network", value(redis_network)),
        ("sentinel_network", value(sentinel_network)),
        ("redis_nodes", value(redis_nodes)),
        ("sentinel_nodes", value(sentinel_nodes)),
        ("primary", value(primary)),
        ("replicas", value(replicas)),
        ("sentinels", value(sentinels)),
        ("primary_endpoints", value(primary_endpoints)),
        ("replicas_endpoints", value(replicas_endpoints)),
        ("redis", value(redis)),
        ("sentinel", value(sentinel)),
        ("redis_budget", value(redis_budget)),
        ("sentinel_budget", value(sentinel_budget)),
    ]
    .map(|(field, object)| (field.to_owned(), object))
    .into();
    objects.extend(
        bindings
            .iter()
            .map(|(service, object)| (format!("binding_{service}"), secret(object))),
    );
    objects
}

fn value(object: impl Serialize) -> Value {
    serde_json::to_value(object).unwrap()
}

pub fn secret(secret: &Secret) -> Value {
    let mut object = value(secret);
    let data = secret.data.iter().flatten();
    object["data"] = data
        .map(|(key, bytes)| {
            (
                key.clone(),
                json!(String::from_utf8(bytes.0.clone()).unwrap()),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    object
}

/// An object for people: passwords and keys by name, texts as lines, JSON as such.
pub fn readable(bus: &Bus, object: &Value) -> Value {
    match object {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), readable(bus, value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(|item| readable(bus, item)).collect(),
        Value::String(text) => readable_text(bus, text),
        other => other.clone(),
    }
}

fn readable_text(bus: &Bus, text: &str) -> Value {
    let passwords = credentials(bus).passwords;
    let text = passwords
        .iter()
        .fold(text.to_owned(), |text, (user, password)| {
            text.replace(password.expose(), &format!("<password of {user}>"))
        });
    if text.starts_with('{') {
        serde_json::from_str(&text).unwrap()
    } else if text.trim_end().contains('\n') {
        text.lines().collect()
    } else {
        text.into()
    }
}
