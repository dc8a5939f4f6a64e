//! Nodes that are cordoned and drained, as `kubectl drain` does.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{EvictParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use crate::bus::Bus;
use crate::wait;

/// Time for a budget to let a pod go, and for the pod to be gone.
const EVICTED: Duration = Duration::from_mins(3);

/// The status code of an eviction that a budget does not allow now.
const NOT_NOW: u16 = 429;

/// The nodes of the cluster.
pub async fn nodes(client: &Client) -> anyhow::Result<Vec<String>> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&ListParams::default()).await?;
    Ok(nodes.iter().map(Node::name_any).collect())
}

/// Lets no pod onto a node, or lets pods onto it again.
pub async fn cordon(client: &Client, node: &str, cordoned: bool) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let patch = Patch::Merge(json!({"spec": {"unschedulable": cordoned}}));
    nodes.patch(node, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Drains a node of a bus's pods, and lets pods onto it again: their volumes lie on it. Returns how many they were.
pub async fn drain(bus: &Bus, node: &str) -> anyhow::Result<usize> {
    cordon(&bus.client, node, true).await?;
    let evicted = evict(bus, node).await;
    cordon(&bus.client, node, false).await?;
    evicted.with_context(|| format!("draining {node}"))
}

/// Evicts every pod of a bus from a cordoned node, and waits until they have left it. Returns how many they were.
async fn evict(bus: &Bus, node: &str) -> anyhow::Result<usize> {
    let api: Api<Pod> = Api::namespaced(bus.client.clone(), bus.names.namespace());
    let there = on(bus, node).await?;
    for pod in &there {
        wait::until(
            &format!("{} is evicted", pod.name_any()),
            EVICTED,
            || async {
                match api.evict(&pod.name_any(), &EvictParams::default()).await {
                    Ok(_) => Ok(()),
                    Err(kube::Error::Api(status)) if status.code == NOT_NOW => {
                        anyhow::bail!("not now: {}", status.message)
                    }
                    Err(error) => Err(error).context("evicting"),
                }
            },
        )
        .await?;
    }
    wait::until("the node is empty", EVICTED, || async {
        let left: Vec<String> = on(bus, node).await?.iter().map(Pod::name_any).collect();
        ensure!(left.is_empty(), "left: {left:?}");
        Ok(())
    })
    .await?;
    Ok(there.len())
}

async fn on(bus: &Bus, node: &str) -> anyhow::Result<Vec<Pod>> {
    let mut pods = bus.pods().list().await?;
    pods.retain(|pod| {
        let spec = pod.spec.as_ref();
        spec.and_then(|spec| spec.node_name.as_deref()) == Some(node)
    });
    Ok(pods)
}
