//! What a bus depends on only when it changes: the operator, the API server, etcd, DNS.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::by_hand::rollout_begun;
use crate::chaos::{Fault, Loses, Scene};
use crate::faults;
use crate::machine::Rules;
use crate::process::{Process, Suspended};
use crate::wait;

/// How long nobody reaches the API server.
const AWAY: Duration = Duration::from_mins(2);

/// How long there is no DNS.
const NAMELESS: Duration = Duration::from_mins(1);

/// Until a server dies meanwhile.
const ALREADY: Duration = Duration::from_secs(20);

/// How long etcd is slow; it stands still and goes on by turns.
const SLOW: Duration = Duration::from_secs(30);
const STANDS: Duration = Duration::from_millis(500);
const GOES: Duration = Duration::from_millis(250);

/// The longest time from the beginning of a planned change to the death of the operator.
const AT_SOME_STEP: Duration = Duration::from_millis(1500);

/// Time for the last data pod to go.
const GONE: Duration = Duration::from_mins(2);

pub const ALL: &[Fault] = &[
    Fault::new(
        "operator-killed-in-switchover",
        "every operator pod is killed up to 1.5 s after another primary was asked for",
        |scene| Box::pin(in_switchover(scene)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "operator-killed-in-rollout",
        "every operator pod is killed when the first of three data pods has been restarted",
        |scene| Box::pin(in_rollout(scene)),
    )
    .slow()
    .loses(Loses::Nothing),
    Fault::new(
        "operator-killed-in-scale-down",
        "every operator pod is killed up to 1.5 s after `replicas` went from 2 to 1; then it is 2 again",
        |scene| Box::pin(in_scale_down(scene)),
    )
    .slow()
    .loses(Loses::Nothing),
    Fault::new(
        "lease-lost",
        "the operator's Lease names somebody else, and the primary's server gets SIGKILL",
        |scene| Box::pin(lease_lost(scene)),
    ),
    Fault::new(
        "api-server-away",
        "nobody but its own node reaches the API server for 2 min, and after 20 s of it the primary's server gets SIGKILL",
        |scene| Box::pin(api_server_away(scene)),
    )
    .slow(),
    Fault::new(
        "etcd-slow",
        "etcd stands still two thirds of the time for 30 s",
        |scene| Box::pin(etcd_slow(scene)),
    )
    .loses(Loses::Nothing)
    .lasts(),
    Fault::new(
        "dns-down",
        "the cluster has no DNS for 1 min, and after 20 s of it the primary's server gets SIGKILL",
        |scene| Box::pin(dns_down(scene)),
    )
    .slow(),
];

async fn operator_killed(scene: &Scene) -> anyhow::Result<()> {
    scene.lab.operator.pods().kill().await?;
    scene.lab.operator.await_ready().await
}

async fn in_switchover(scene: &Scene) -> anyhow::Result<()> {
    faults::ask_switchover(&scene.bus, "any").await?;
    tokio::time::sleep(scene.within(AT_SOME_STEP)).await;
    operator_killed(scene).await
}

async fn in_rollout(scene: &Scene) -> anyhow::Result<()> {
    rollout_begun(scene).await?;
    operator_killed(scene).await
}

async fn in_scale_down(scene: &Scene) -> anyhow::Result<()> {
    replicas(scene, 1).await?;
    tokio::time::sleep(scene.within(AT_SOME_STEP)).await;
    let killed = operator_killed(scene).await;
    let last = scene
        .bus
        .names
        .pod(cachebus_core::names::Component::Redis, 2);
    let gone = wait::until("the last pod is gone", GONE, || async {
        let there = scene.bus.pods().uids().await?.contains_key(&last);
        ensure!(!there, "{last} is still there");
        Ok(())
    })
    .await;
    replicas(scene, scene.bus.spec.replicas).await?;
    killed.and(gone)
}

async fn replicas(scene: &Scene, replicas: u32) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let bus = scene.bus.names.bus();
    scene
        .bus
        .api()
        .patch(bus, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

async fn lease_lost(scene: &Scene) -> anyhow::Result<()> {
    let operator = &scene.lab.operator;
    let patch = Patch::Merge(json!({"spec": {"holderIdentity": "somebody-else"}}));
    let leases = operator.leases();
    leases
        .patch(&operator.deployment, &PatchParams::default(), &patch)
        .await?;
    scene.crash(&scene.primary).await?;
    operator.await_ready().await
}

async fn api_server_away(scene: &Scene) -> anyhow::Result<()> {
    let client = &scene.bus.client;
    let nodes: Api<Node> = Api::all(client.clone());
    let control_plane = ListParams::default().labels("node-role.kubernetes.io/control-plane");
    let node = nodes.list(&control_plane).await?.items.into_iter().next();
    let node = node.context("no node has the API server")?.name_any();
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    let address = services.get("kubernetes").await?.spec;
    let address = address.and_then(|spec| spec.cluster_ip);
    let address = address.context("the API server's Service has no address")?;
    let server = scene.server(&scene.primary).await?;
    let refuse = "reject with tcp reset;";
    let _away = Rules::begin(
        &node,
        "e2e_api_server",
        &format!(
            "chain in {{ type filter hook prerouting priority -400; \
             iifname != \"lo\" tcp dport 6443 {refuse} ip daddr {address} tcp dport 443 {refuse} }}"
        ),
    )?;
    tokio::time::sleep(ALREADY).await;
    server.kill()?;
    tokio::time::sleep(AWAY.saturating_sub(ALREADY)).await;
    Ok(())
}

async fn etcd_slow(_scene: &Scene) -> anyhow::Result<()> {
    let until = tokio::time::Instant::now() + SLOW;
    while tokio::time::Instant::now() < until {
        let stands = Suspended::all(Process::all("etcd", None)?)?;
        tokio::time::sleep(STANDS).await;
        drop(stands);
        tokio::time::sleep(GOES).await;
    }
    Ok(())
}

async fn dns_down(scene: &Scene) -> anyhow::Result<()> {
    let api: Api<Deployment> = Api::namespaced(scene.bus.client.clone(), "kube-system");
    let scale = async |replicas: i32| {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        api.patch_scale("coredns", &PatchParams::default(), &patch)
            .await
    };
    let spec = api.get("coredns").await?.spec;
    let before = spec.and_then(|spec| spec.replicas).unwrap_or(1);
    scale(0).await?;
    tokio::time::sleep(ALREADY).await;
    let crashed = scene.crash(&scene.primary).await;
    tokio::time::sleep(NAMELESS.saturating_sub(ALREADY)).await;
    scale(before).await?;
    crashed
}
