//! Routes between pods, nodes and the host.
//!
//! Nodes that are built here have no network daemon: the `ptp` plug-in connects pods to their node, and every node
//! and the host route each node's pod range to it. What `NetworkPolicy` asks for, [`super::policy`]
//! enforces on request.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::command::Cmd;

use super::cluster::on_node;
use super::source::Source;
use super::{Lab, packages, wait};

/// Marks the host's routes as the lab's own, so that they are found again.
const ROUTE_PROTOCOL: &str = "124";

/// How long the control plane may take to give each node its pod range.
const RANGES_LIMIT: Duration = Duration::from_mins(1);

/// A node as the network sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    node: String,
    pods: String,
    address: String,
}

/// Gives new nodes a pod network where kind gave them none, and routes to it.
pub(crate) fn connect_new_nodes(lab: &Lab) -> anyhow::Result<()> {
    let places = places(lab)?;
    if lab.source == Source::Packages {
        for place in &places {
            on_node(&place.node)
                .args(["sh", "-euc"])
                .arg("mkdir -p /etc/cni/net.d && cat >/etc/cni/net.d/10-ptp.conflist")
                .input(plugin_config(&place.pods))
                .run()?;
        }
    }
    route(lab, &places)
}

/// Restores the routes, which nodes and host forget when they restart.
pub(crate) fn repair(lab: &Lab) -> anyhow::Result<()> {
    route(lab, &places(lab)?)
}

/// Removes the routes that the lab has put on the host; none being there is as good.
pub(crate) fn remove_host_routes() {
    let _ = Cmd::new("ip")
        .args(["route", "flush", "proto", ROUTE_PROTOCOL])
        .run();
}

fn route(lab: &Lab, places: &[Place]) -> anyhow::Result<()> {
    packages::ensure(packages::NETWORK)?;
    let on_host = Cmd::new("ip")
        .args(["route", "show", "proto", ROUTE_PROTOCOL])
        .output()?;
    for place in places {
        let known = format!("{} via {} ", place.pods, place.address);
        if !on_host.lines().any(|line| line.starts_with(&known)) {
            Cmd::new("ip")
                .args(["route", "replace", &place.pods, "via", &place.address])
                .args(["proto", ROUTE_PROTOCOL])
                .run()
                .context("the host cannot route to pods")?;
        }
    }
    if lab.source == Source::Registry {
        return Ok(());
    }
    let threads: Vec<_> = places
        .iter()
        .map(|place| {
            let script = routes_from(place, places);
            let node = on_node(&place.node).args(["sh", "-euc", &script]);
            std::thread::spawn(|| node.run())
        })
        .collect();
    for thread in threads {
        match thread.join() {
            Ok(routed) => routed?,
            Err(_) => bail!("setting the routes of a node panicked"),
        }
    }
    Ok(())
}

/// The commands that let one node reach the pods of the others.
fn routes_from(place: &Place, places: &[Place]) -> String {
    places.iter().filter(|other| other.node != place.node).fold(
        String::new(),
        |mut script, other| {
            let _ = writeln!(
                script,
                "ip route replace {} via {}",
                other.pods, other.address
            );
            script
        },
    )
}

fn places(lab: &Lab) -> anyhow::Result<Vec<Place>> {
    let mut found = None;
    wait::until(RANGES_LIMIT, || {
        let listed = lab
            .kubectl()
            .args(["get", "nodes", "--output=json"])
            .output()
            .ok()
            .and_then(|json| serde_json::from_str(&json).ok());
        found = listed.as_ref().and_then(read_places);
        found.is_some()
    });
    found.context("the nodes were given no pod ranges")
}

/// The place of every node, once all have a pod range.
fn read_places(nodes: &Value) -> Option<Vec<Place>> {
    let items = nodes["items"].as_array()?;
    items
        .iter()
        .map(|node| {
            let address = node["status"]["addresses"]
                .as_array()?
                .iter()
                .find(|address| address["type"] == "InternalIP")?;
            Some(Place {
                node: node["metadata"]["name"].as_str()?.to_owned(),
                pods: node["spec"]["podCIDR"].as_str()?.to_owned(),
                address: address["address"].as_str()?.to_owned(),
            })
        })
        .collect()
}

fn plugin_config(pods: &str) -> String {
    serde_json::json!({
        "cniVersion": "0.3.1",
        "name": "ptp",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": false,
                "mtu": 1500,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni-ipam-state",
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "ranges": [[{"subnet": pods}]],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn node(name: &str, pods: &Value, address: &str) -> Value {
        serde_json::json!({
            "metadata": {"name": name},
            "spec": {"podCIDR": pods},
            "status": {"addresses": [
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": address},
            ]},
        })
    }

    #[test]
    fn every_node_routes_to_the_others_and_not_to_itself() {
        let nodes = serde_json::json!({"items": [
            node("one", &"10.244.0.0/24".into(), "172.18.0.2"),
            node("two", &"10.244.1.0/24".into(), "172.18.0.3"),
        ]});
        let places = read_places(&nodes).unwrap();
        assert_eq!(
            routes_from(&places[0], &places),
            "ip route replace 10.244.1.0/24 via 172.18.0.3\n"
        );
    }

    #[test]
    fn a_node_without_a_range_is_waited_for() {
        let nodes = serde_json::json!({"items": [node("one", &Value::Null, "172.18.0.2")]});
        assert_eq!(read_places(&nodes), None);
    }
}
