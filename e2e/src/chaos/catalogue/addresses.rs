//! Addresses that pass from one bus to another.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::bus::{Bus, small};
use crate::chaos::{Fault, Loses, Scene};
use crate::machine::docker;
use crate::{faults, wait};

/// Where the nodes' network keeps the addresses that are taken, each a file.
const TAKEN: &str = "/run/cni-ipam-state";

/// Time for an address to be free.
const FREE: Duration = Duration::from_mins(1);

/// Time for a bus to be well.
const WELL: Duration = Duration::from_mins(2);

pub const ALL: &[Fault] = &[Fault::new(
    "address-reused",
    "a pod of another bus gets the address that a replica's pod had",
    |scene| Box::pin(reused(scene)),
)
.loses(Loses::Nothing)
.slow()];

async fn reused(scene: &Scene) -> anyhow::Result<()> {
    let namespace = scene.bus.names.namespace();
    let spec = small(json!({"replicas": 0}))?;
    let other = Bus::ready(&scene.lab, namespace, "other", spec).await?;
    let pod = other.data_places().remove(0).pod;
    let node = faults::node_of(&other, &pod).await?;
    let mut here = None;
    for replica in scene.replicas() {
        if scene.node(&replica).await? == node {
            here = Some(replica);
        }
    }
    // The primary may be the one that is there.
    let ours = here.unwrap_or_else(|| scene.primary.clone());
    let address: Ipv4Addr = scene.address(&ours).await?.parse()?;
    scene.replace(&ours, false).await?;
    next_is(&node, address).await?;
    let uid = faults::uid(&other, &pod).await?;
    let pods = other.pods();
    pods.kill_one(&pod).await?;
    pods.await_replaced(&[(pod.clone(), uid)].into(), WELL)
        .await?;
    let now = crate::nodes::address(&other.client, namespace, &pod).await?;
    ensure!(now == address.to_string(), "{pod} has {now}, not {address}");
    faults::healthy(&other, WELL).await?;
    faults::healthy(&scene.bus, WELL).await?;
    other.delete().await
}

/// Waits until an address is free on a node, and has the next pod there get it.
async fn next_is(node: &str, address: Ipv4Addr) -> anyhow::Result<()> {
    let before = Ipv4Addr::from_bits(address.to_bits() - 1);
    let script = "cd \"$1\"/*/; [ ! -e \"$2\" ]; printf %s \"$3\" > last_reserved_ip.0";
    let [address, before] = [address.to_string(), before.to_string()];
    wait::until("the address is free", FREE, || async {
        let set = [
            "exec", node, "sh", "-euc", script, "sh", TAKEN, &address, &before,
        ];
        docker(&set, "").map(|_| ()).context("it is taken")
    })
    .await
}
