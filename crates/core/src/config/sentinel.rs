//! Directives of the Sentinels.

use super::file::conf_text;
use super::ports::listeners;
use super::settings::certificates;
use crate::bus::Bus;
use crate::names::{ACL_DIR, Component, DATA_DIR, SENTINEL_ACL};
use cachebus_api::settings::TlsMode;

/// The configuration file of the Sentinels, without what differs between pods, without secrets and without what a Sentinel
/// writes into it itself: the agent adds those.
#[must_use]
pub fn sentinel_conf(bus: &Bus) -> String {
    let (port, tls_port) = listeners(bus, Component::Sentinel);
    let mut directives = vec![
        ("aclfile", format!("{ACL_DIR}/{SENTINEL_ACL}")),
        ("bind", "* -::*".to_owned()),
        ("dir", DATA_DIR.to_owned()),
        ("port", port.to_string()),
        ("tls-port", tls_port.to_string()),
    ];
    if bus.spec.tls.mode != TlsMode::Disabled {
        directives.extend(certificates());
        directives.push(("tls-replication", "yes".to_owned()));
    }
    // Names must be resolvable before the agent adds a primary by its name.
    for option in [
        "sentinel resolve-hostnames",
        "sentinel announce-hostnames",
        "sentinel deny-scripts-reconfig",
    ] {
        directives.push((option, "yes".to_owned()));
    }
    conf_text(
        directives
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    )
}
