//! What can befall the primary, and planned changes that are to be told from it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_api::CacheBus;
use cachebus_api::engine::EngineKind;
use cachebus_core::names::{ANY_REPLICA, Component, SWITCHOVER_ANNOTATION};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::bus::Bus;
use crate::machine::{Paused, Rules};
use crate::process::Process;
use crate::{agreement, bus, drain, outage, wait};

/// How long a node is away.
const AWAY: Duration = Duration::from_secs(40);

/// How long a node that is rebooted is off.
const OFF: Duration = Duration::from_secs(10);

/// Time for the primary to move where it was asked to.
const MOVED: Duration = Duration::from_mins(1);

/// Time for all data pods to be replaced one by one.
const ROLLED: Duration = Duration::from_mins(6);

/// What befalls the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Its server's process gets SIGKILL.
    Kill,
    /// Its pod is deleted, and ends in order.
    Sigterm,
    /// Its pod is deleted without a chance to end in order.
    ForceDelete,
    /// Its node stands still for 40 s.
    Pause,
    /// Its node reaches no other node, and none reaches it, for 40 s.
    CutOff,
    /// Its node loses its power, and has it again after 10 s. No part of the measurements.
    #[value(skip)]
    Reboot,
    /// The operator is asked to move the lead.
    Switchover,
    /// What only a restart brings in is changed: every data pod is replaced, the primary last.
    Rollout,
    /// Its node is cordoned and drained of the bus's pods, and let in again once they have left.
    Drain,
}

impl Fault {
    /// Whether it takes the whole node away.
    pub fn takes_the_node(self) -> bool {
        matches!(self, Self::Pause | Self::CutOff | Self::Reboot)
    }

    /// Does it, and waits until nothing of it is in force any more.
    pub async fn befall(self, bus: &Bus, primary: &str) -> anyhow::Result<()> {
        let pods = bus.pods();
        let uid = uid(bus, primary).await?;
        match self {
            Self::Kill => server(bus, &uid)?.kill()?,
            Self::Sigterm | Self::ForceDelete => {
                if self == Self::Sigterm {
                    pods.delete_one(primary).await?;
                } else {
                    pods.kill_one(primary).await?;
                }
                let before = BTreeMap::from([(primary.to_owned(), uid)]);
                pods.await_replaced(&before, bus::READY).await?;
            }
            Self::Pause => {
                let _paused = Paused::begin(&node_of(bus, primary).await?)?;
                tokio::time::sleep(AWAY).await;
            }
            Self::CutOff => {
                let _cut_off = Rules::cut_off(&node_of(bus, primary).await?)?;
                tokio::time::sleep(AWAY).await;
            }
            Self::Reboot => {
                let node = node_of(bus, primary).await?;
                outage::power_off(&node)?;
                tokio::time::sleep(OFF).await;
                outage::power_on(&node)?;
            }
            Self::Switchover => {
                ask_switchover(bus, ANY_REPLICA).await?;
                primary_is(bus, |now| now != primary).await?;
            }
            Self::Rollout => {
                let pods = bus.pods_of(Component::Redis);
                let before = pods.uids().await?;
                ask_rollout(bus).await?;
                pods.await_replaced(&before, ROLLED).await?;
            }
            Self::Drain => {
                drain::drain(bus, &node_of(bus, primary).await?).await?;
            }
        }
        Ok(())
    }
}

/// Asks the operator to move the lead to a pod, or to any replica.
pub async fn ask_switchover(bus: &Bus, to: &str) -> anyhow::Result<()> {
    bus.ask(SWITCHOVER_ANNOTATION, to).await
}

/// Changes a directive that only a restart brings in.
pub async fn ask_rollout(bus: &Bus) -> anyhow::Result<()> {
    let backlog = bus.object().await?.spec.connections.tcp_backlog + 1;
    let asked = json!({"spec": {"connections": {"tcpBacklog": backlog}}});
    bus.api()
        .patch(
            bus.names.bus(),
            &PatchParams::default(),
            &Patch::Merge(asked),
        )
        .await?;
    Ok(())
}

/// The process of the server in the pod with this UID.
pub fn server(bus: &Bus, uid: &str) -> anyhow::Result<Process> {
    let program = match bus.spec.engine.kind {
        EngineKind::Redis => "redis-server",
        EngineKind::Valkey => "valkey-server",
    };
    let all = Process::all(program, None)?;
    all.into_iter()
        .find(|process| process.is_of_pod(uid))
        .context("the pod's server does not run on this machine")
}

/// The UID of a pod.
pub async fn uid(bus: &Bus, pod: &str) -> anyhow::Result<String> {
    let uid = bus.pods().uids().await?.remove(pod);
    uid.with_context(|| format!("{pod} is not there"))
}

/// The node that a pod runs on.
pub async fn node_of(bus: &Bus, pod: &str) -> anyhow::Result<String> {
    let pods: Api<Pod> = Api::namespaced(bus.client.clone(), bus.names.namespace());
    let node = pods.get(pod).await?.spec.and_then(|spec| spec.node_name);
    node.with_context(|| format!("{pod} is on no node"))
}

/// The data pods on nodes that may go away: not the one with the API server.
pub async fn on_workers(bus: &Bus) -> anyhow::Result<Vec<String>> {
    let nodes: Api<Node> = Api::all(bus.client.clone());
    let mut on_workers = Vec::new();
    for place in bus.data_places() {
        let node = nodes.get(&node_of(bus, &place.pod).await?).await?;
        if !node
            .labels()
            .contains_key("node-role.kubernetes.io/control-plane")
        {
            on_workers.push(place.pod);
        }
    }
    Ok(on_workers)
}

/// Has the primary move to a node that may go away.
pub async fn move_off_control_plane(bus: &Bus) -> anyhow::Result<()> {
    let on_workers = on_workers(bus).await?;
    if !on_workers.contains(&bus.primary().await?) {
        let to = on_workers.first().context("no data pod is on a worker")?;
        move_to(bus, to).await?;
    }
    Ok(())
}

/// Has a pod lead that does not, and waits until all is well.
pub async fn move_to(bus: &Bus, pod: &str) -> anyhow::Result<()> {
    ask_switchover(bus, pod).await?;
    primary_is(bus, |now| now == pod).await?;
    healthy(bus, MOVED).await?;
    Ok(())
}

async fn primary_is(bus: &Bus, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    wait::until("the primary has moved", MOVED, || async {
        let now = bus.primary().await?;
        ensure!(wanted(&now), "it is still {now}");
        Ok(())
    })
    .await
}

/// Waits until every Sentinel takes part in a failover: one whose node stood still mistrusts its clock for 30 s (TILT), and
/// another fault in that time would be two at once.
pub async fn rested(bus: &Bus) -> anyhow::Result<()> {
    wait::until("no Sentinel is in TILT", MOVED, || async {
        for sentinel in bus.sentinel_nodes().await? {
            let tilt = sentinel.info("sentinel").await?.remove("sentinel_tilt");
            ensure!(tilt.as_deref() == Some("0"), "{}: {tilt:?}", sentinel.pod);
        }
        Ok(())
    })
    .await
}

/// Waits until the operator reports `Ready`, and servers and Sentinels agree, all of them. Returns the primary.
pub async fn healthy(bus: &Bus, limit: Duration) -> anyhow::Result<String> {
    wait::until("all is well", limit, || async {
        let object: CacheBus = bus.object().await?;
        ensure!(bus::is_ready(&object), "{}", bus::conditions(&object));
        let primary = agreement::topology(bus).await?;
        ensure!(bus.primary().await? == primary, "{primary} leads");
        Ok(primary)
    })
    .await
}
