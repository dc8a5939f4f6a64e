//! Whether a bus is what its spec says, asked of every server and every Sentinel itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{bail, ensure};
use cachebus_core::bus::{Bus as Validated, Platform};
use cachebus_core::config;
use cachebus_core::fence::DIRECTIVE;
use cachebus_core::names::Component;

use crate::bus::{Bus, DOMAIN};
use crate::nodes::Node;
use crate::wait;

/// Time for what `Ready` promises to be seen from outside: Sentinels ask replicas each second, or each 10 s when idle.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until every server has the spec's settings, and all servers and Sentinels agree on one primary with every replica
/// linked. Returns the primary.
pub async fn check(bus: &Bus) -> anyhow::Result<String> {
    set_as_asked(bus, |directive| directive != DIRECTIVE).await?;
    // On a machine at its limit Sentinels may be unheard for a moment: a primary is tied to its replicas then.
    wait::until("no primary is tied to its replicas", LIMIT, || {
        set_as_asked(bus, |directive| directive == DIRECTIVE)
    })
    .await?;
    wait::until("all agree on one primary", LIMIT, || topology(bus)).await
}

/// Fails unless `CONFIG GET` on every data node equals the settings that the spec compiles to.
pub async fn settings(bus: &Bus) -> anyhow::Result<()> {
    set_as_asked(bus, |_| true).await
}

/// The same for those directives.
async fn set_as_asked(bus: &Bus, which: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let wanted = config::settings(&validated(bus).await?);
    ensure!(!wanted.is_empty(), "the spec compiles to no settings");
    // A session may be cut off, as those of whoever ceases to lead are: that says nothing of settings.
    let nodes = wait::until("every data node says its settings", LIMIT, || live(bus)).await?;
    for (pod, live) in nodes {
        let wrong: BTreeMap<_, _> = wanted
            .iter()
            .filter(|(directive, _)| which(directive.as_str()))
            .map(|(directive, value)| (directive, (value, live.get(directive))))
            .filter(|(directive, (value, live))| {
                live.is_none_or(|live| !config::same(directive, value, live))
            })
            .collect();
        ensure!(
            wrong.is_empty(),
            "{pod}: directive: (wanted, live) {wrong:?}"
        );
    }
    Ok(())
}

/// The settings of each data node.
async fn live(bus: &Bus) -> anyhow::Result<BTreeMap<String, BTreeMap<String, String>>> {
    let mut settings = BTreeMap::new();
    for node in bus.data_nodes().await? {
        settings.insert(node.pod.clone(), node.config().await?);
    }
    Ok(settings)
}

/// The primary, where all agree on it, the operator too.
pub async fn topology(bus: &Bus) -> anyhow::Result<String> {
    let recorded = bus.primary().await?;
    agreed(bus, recorded).await
}

/// The primary, where all servers and Sentinels agree on it. The operator may be away, and its record old.
pub async fn unattended(bus: &Bus) -> anyhow::Result<String> {
    for node in bus.data_nodes().await? {
        if node.role().await? == "master" {
            return agreed(bus, node.pod.clone()).await;
        }
    }
    bail!("no server is master")
}

async fn agreed(bus: &Bus, primary: String) -> anyhow::Result<String> {
    servers(bus, &primary).await?;
    let master_name = bus.master_name().await?;
    for sentinel in bus.sentinel_nodes().await? {
        sentinel_agrees(bus, &sentinel, &master_name, &primary).await?;
    }
    Ok(primary)
}

async fn servers(bus: &Bus, primary: &str) -> anyhow::Result<()> {
    let fqdn = bus.names.pod_fqdn(Component::Redis, primary);
    for node in bus.data_nodes().await? {
        let role = if node.pod == primary {
            "master"
        } else {
            "slave"
        };
        ensure!(node.role().await? == role, "{} is no {role}", node.pod);
        let info = node.info("replication").await?;
        let said = |name: &str| info.get(name).map_or("", String::as_str);
        let wanted: &[(&str, &str)] = if node.pod == primary {
            &[
                ("role", "master"),
                ("connected_slaves", &bus.spec.replicas.to_string()),
            ]
        } else {
            &[
                ("role", "slave"),
                ("master_host", &fqdn),
                ("master_link_status", "up"),
            ]
        };
        for (name, value) in wanted {
            ensure!(
                said(name) == *value,
                "{}: {name} is {:?}, not {value}",
                node.pod,
                said(name)
            );
        }
    }
    Ok(())
}

async fn sentinel_agrees(
    bus: &Bus,
    sentinel: &Node,
    master_name: &str,
    primary: &str,
) -> anyhow::Result<()> {
    let all = sentinel.info("sentinel").await?;
    let masters = all.get("sentinel_masters").map_or("", String::as_str);
    ensure!(
        masters == "1",
        "{} monitors {masters} primaries",
        sentinel.pod
    );
    let master = sentinel.monitored(master_name).await?;
    let said = |name: &str| master.get(name).map_or("", String::as_str);
    let sentinels = bus.spec.sentinel.replicas;
    for (name, value) in [
        ("ip", bus.names.pod_fqdn(Component::Redis, primary)),
        ("flags", "master".to_owned()),
        ("num-slaves", bus.spec.replicas.to_string()),
        ("num-other-sentinels", (sentinels - 1).to_string()),
        ("quorum", (sentinels / 2 + 1).to_string()),
    ] {
        ensure!(
            said(name) == value,
            "{}: {name} is {:?}, not {value}",
            sentinel.pod,
            said(name)
        );
    }
    let others = |component, count: u32, own: &str| -> BTreeSet<String> {
        (0..count)
            .map(|ordinal| bus.names.pod(component, ordinal))
            .filter(|pod| pod != own)
            .map(|pod| bus.names.pod_fqdn(component, &pod))
            .collect()
    };
    let replicas = others(Component::Redis, bus.spec.replicas + 1, primary);
    let peers = others(Component::Sentinel, sentinels, &sentinel.pod);
    healthy(sentinel, "REPLICAS", master_name, "slave", &replicas).await?;
    healthy(sentinel, "SENTINELS", master_name, "sentinel", &peers).await
}

/// Fails unless the Sentinel knows exactly these hosts, each with no other flag than its kind.
async fn healthy(
    sentinel: &Node,
    what: &str,
    master_name: &str,
    flag: &str,
    wanted: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let known = sentinel.known(what, master_name).await?;
    let hosts: BTreeSet<_> = known
        .iter()
        .filter_map(|peer| peer.get("ip").cloned())
        .collect();
    ensure!(
        hosts == *wanted,
        "{}: {what} {hosts:?}, not {wanted:?}",
        sentinel.pod
    );
    for peer in &known {
        let flags = peer.get("flags").map_or("", String::as_str);
        ensure!(
            flags == flag,
            "{}: {:?} is {flags}",
            sentinel.pod,
            peer.get("ip")
        );
    }
    Ok(())
}

/// The bus as the operator sees it, for what is the same on any platform.
async fn validated(bus: &Bus) -> anyhow::Result<Validated> {
    let object = bus.object().await?;
    let engine = &object.spec.engine;
    let image = format!("{:?}-{}", engine.kind, engine.version).to_lowercase();
    let platform = Platform {
        domain: DOMAIN.to_owned(),
        agent_image: "any".to_owned(),
        agent_pull_policy: String::new(),
        engine_images: BTreeMap::from([(image, "any".to_owned())]),
        operator_namespace: "any".to_owned(),
    };
    match Validated::validate(&object, &platform) {
        Ok(bus) => Ok(bus),
        Err(violations) => bail!("the bus is not valid: {violations:?}"),
    }
}
