//! Nodes of the cluster that lose their power: every process of their pods dies at once, with kubelet.

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Node, NodeSpec};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt as _};

use crate::machine::docker;
use crate::wait;

/// Time for a node to be ready.
const READY: Duration = Duration::from_mins(3);

/// Kubelet and the runtime first, so that nobody starts again what is killed.
const POWER_OFF: &str = "
systemctl stop kubelet containerd
processes() { find /sys/fs/cgroup -path '*kubepods*' -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u; }
while left=$(processes) && [ -n \"$left\" ]; do
    for process in $left; do kill -9 \"$process\" 2>/dev/null || true; done
    sleep 0.1
done";

const POWER_ON: &str = "systemctl start containerd kubelet";

/// What the lab's storage class keeps on a node.
const WIPE: &str = "rm -rf /var/local-path-provisioner/*";

/// Ends all that runs on a node but the node itself, without a chance to end in order.
pub fn power_off(node: &str) -> anyhow::Result<()> {
    on(node, POWER_OFF)
}

/// Starts it again. Its pods are started by whoever finds them missing.
pub fn power_on(node: &str) -> anyhow::Result<()> {
    on(node, POWER_ON)
}

fn on(node: &str, script: &str) -> anyhow::Result<()> {
    docker(&["exec", node, "sh", "-euc", script], "").map(|_| ())
}

fn is_ready(node: &Node) -> bool {
    let status = node.status.as_ref();
    let mut conditions = status
        .into_iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// A node that is gone, with all that was on it.
pub struct Lost {
    nodes: Api<Node>,
    /// What it is to be made again from.
    before: Node,
}

impl Lost {
    /// Ends all that runs on a node, empties its volumes, and takes it out of the cluster.
    pub async fn begin(client: &Client, node: &str) -> anyhow::Result<Self> {
        let nodes: Api<Node> = Api::all(client.clone());
        let before = nodes.get(node).await.context(node.to_owned())?;
        power_off(node)?;
        on(node, WIPE)?;
        nodes.delete(node, &DeleteParams::default()).await?;
        Ok(Self { nodes, before })
    }

    /// Puts an empty node in its place. It has the same range of addresses: the lab routes that one to it.
    pub async fn replace(self) -> anyhow::Result<()> {
        let name = self.before.name_any();
        let spec = self.before.spec.unwrap_or_default();
        let node = Node {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: self.before.metadata.labels,
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                pod_cidr: spec.pod_cidr,
                pod_cidrs: spec.pod_cidrs,
                provider_id: spec.provider_id,
                ..NodeSpec::default()
            }),
            ..Node::default()
        };
        self.nodes.create(&PostParams::default(), &node).await?;
        power_on(&name)?;
        let ready = |node: Option<&Node>| node.is_some_and(is_ready);
        wait::object(&self.nodes, &name, "Ready", READY, ready).await?;
        Ok(())
    }
}
