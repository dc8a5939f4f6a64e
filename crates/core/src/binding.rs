//! The Secret of a service in service-binding form.

mod contract;
pub mod keys;

use crate::bus::Bus;
use crate::config;
use crate::credentials::Password;
use crate::names::{Component, master_name};
use cachebus_api::contract::Service;
use cachebus_api::settings::TlsMode;
use std::collections::BTreeMap;

/// Type of a service's Secret.
pub const SECRET_TYPE: &str = "servicebinding.io/redis";
/// Entry that holds the contract as JSON.
pub const CONTRACT: &str = "contract.json";

/// Everything that a service needs to connect, by entry of its Secret. `ca_pem` is the certificate of the bus's authority.
#[must_use]
pub fn secret(
    bus: &Bus,
    service: &Service,
    password: &Password,
    ca_pem: &str,
) -> BTreeMap<&'static str, String> {
    let names = &bus.names;
    let tls = bus.spec.tls.mode != TlsMode::Disabled;
    let host = names.service_fqdn(&names.primary_service());
    let port = config::port(bus, Component::Redis);
    let mut data = of_server(bus, service, password, tls, &host, port);
    data.extend([
        ("sentinels", sentinels(bus)),
        (
            "sentinel-port",
            config::port(bus, Component::Sentinel).to_string(),
        ),
        ("master-name", master_name(names.bus(), &bus.uid)),
    ]);
    if tls {
        data.insert("ca.crt", ca_pem.to_owned());
    }
    data
}

/// The same for a server that stands alone: it is at this address, speaks plain text, and no Sentinel watches it.
#[must_use]
pub fn alone(
    bus: &Bus,
    service: &Service,
    password: &Password,
    host: &str,
    port: u16,
) -> BTreeMap<&'static str, String> {
    of_server(bus, service, password, false, host, port)
}

/// What does not depend on who watches the server.
fn of_server(
    bus: &Bus,
    service: &Service,
    password: &Password,
    tls: bool,
    host: &str,
    port: u16,
) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        // Valkey speaks Redis: one type for both keeps every client library's binding at work.
        ("type", "redis".to_owned()),
        ("provider", "cachebus".to_owned()),
        ("uri", uri(tls, &service.name, password, host, port)),
        ("host", host.to_owned()),
        ("port", port.to_string()),
        ("username", service.name.clone()),
        ("password", password.expose().to_owned()),
        ("tls", tls.to_string()),
        (CONTRACT, contract::json(bus, service)),
    ])
}

/// User names and passwords are made of characters that stand for themselves in a URI.
fn uri(tls: bool, user: &str, password: &Password, host: &str, port: u16) -> String {
    let scheme = if tls { "rediss" } else { "redis" };
    // An IPv6 address is bracketed.
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    format!("{scheme}://{user}:{}@{host}:{port}/0", password.expose())
}

/// Host and port of every Sentinel pod, separated by commas.
fn sentinels(bus: &Bus) -> String {
    let names = &bus.names;
    let port = config::port(bus, Component::Sentinel);
    let addresses: Vec<String> = (0..bus.electorate.members)
        .map(|ordinal| {
            let pod = names.pod(Component::Sentinel, ordinal);
            format!("{}:{port}", names.pod_fqdn(Component::Sentinel, &pod))
        })
        .collect();
    addresses.join(",")
}
