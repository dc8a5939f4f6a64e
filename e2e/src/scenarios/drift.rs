//! What is changed by hand comes back: objects of Kubernetes, live settings, live users.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_core::names::Component;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::faults;
use crate::lab::Lab;
use crate::nodes::differing;
use crate::pods::is_ready;
use crate::wait;

/// The operator hears of changed objects at once.
const AT_ONCE: Duration = Duration::from_secs(20);

/// What only agents see is found at the operator's next look, 30 s away at most.
const NEXT_LOOK: Duration = Duration::from_secs(75);

pub const SCENARIO: Scenario = Scenario {
    name: "drift",
    proves: "objects, live settings and live users that were changed by hand come back",
    alone: false,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(
        &lab,
        &namespace,
        "bus",
        small(json!({
            "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
            "services": [{"name": "reader", "cache": {"read": ["agent"]}}],
        }))?,
    )
    .await?;
    let primary = agreement::check(&bus).await?;
    objects(&bus).await?;
    lab.note("edited and deleted objects are back");
    scaled(&bus).await?;
    lab.note("a StatefulSet scaled by hand is back");
    settings(&bus).await?;
    lab.note("live settings are back");
    users(&bus).await?;
    lab.note("live users are back");
    ensure!(
        agreement::check(&bus).await? == primary,
        "the primary moved"
    );
    Ok(())
}

async fn objects(bus: &Bus) -> anyhow::Result<()> {
    let names = &bus.names;
    let service = names.primary_service();
    let port = json!([{"op": "replace", "path": "/spec/ports/0/port", "value": 1234}]);
    edited::<Service>(bus, &service, port, |service| {
        json!(service.spec.as_ref().map(|spec| &spec.ports))
    })
    .await?;
    let address =
        json!([{"op": "replace", "path": "/endpoints/0/addresses/0", "value": "192.0.2.1"}]);
    edited::<EndpointSlice>(bus, &service, address, |slice| {
        json!(
            slice
                .endpoints
                .iter()
                .map(|endpoint| &endpoint.addresses)
                .collect::<Vec<_>>()
        )
    })
    .await?;
    let config = json!([{"op": "replace", "path": "/data/redis.conf", "value": "maxmemory 1"}]);
    edited::<ConfigMap>(bus, &names.config(), config, |map| json!(map.data)).await?;
    deleted::<Service>(bus, &names.replicas_service()).await?;
    deleted::<EndpointSlice>(bus, &service).await?;
    let policies: Api<NetworkPolicy> = Api::namespaced(bus.client.clone(), names.namespace());
    let policy = policies
        .list(&ListParams::default())
        .await?
        .items
        .into_iter()
        .next();
    let policy = policy
        .and_then(|policy| policy.metadata.name)
        .context("no NetworkPolicy")?;
    deleted::<NetworkPolicy>(bus, &policy).await
}

async fn edited<K>(
    bus: &Bus,
    name: &str,
    edit: Value,
    part: impl Fn(&K) -> Value,
) -> anyhow::Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let api: Api<K> = Api::namespaced(bus.client.clone(), bus.names.namespace());
    let wanted = part(&api.get(name).await?);
    let edit = Patch::Json::<()>(serde_json::from_value(edit)?);
    let spoilt = part(&api.patch(name, &PatchParams::default(), &edit).await?);
    let kind = K::kind(&());
    ensure!(
        spoilt != wanted,
        "the edit of the {kind} {name} changes nothing"
    );
    wait::until(
        &format!("the {kind} {name} is as it was"),
        AT_ONCE,
        || async {
            let now = part(&api.get(name).await?);
            ensure!(now == wanted, "it is {now}");
            Ok(())
        },
    )
    .await
}

async fn deleted<K>(bus: &Bus, name: &str) -> anyhow::Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(bus.client.clone(), bus.names.namespace());
    let before = api.get(name).await?.meta().uid.clone();
    api.delete(name, &DeleteParams::default()).await?;
    wait::until(
        &format!("the {} {name} is back", K::kind(&())),
        AT_ONCE,
        || async {
            ensure!(
                api.get(name).await?.meta().uid != before,
                "it is not deleted yet"
            );
            Ok(())
        },
    )
    .await
}

/// The pod that goes is a replica, so nothing but its absence is felt.
async fn scaled(bus: &Bus) -> anyhow::Result<()> {
    let api: Api<StatefulSet> = Api::namespaced(bus.client.clone(), bus.names.namespace());
    let name = bus.names.workload(Component::Redis);
    let before = bus.pods().uids().await?;
    let scale = Patch::Merge(json!({"spec": {"replicas": 2}}));
    api.patch_scale(&name, &PatchParams::default(), &scale)
        .await?;
    let wanted = i32::try_from(bus.spec.replicas + 1)?;
    wait::until("the replicas are as they were", AT_ONCE, || async {
        let set = api.get(&name).await?;
        let spec = set.spec.context("no spec")?;
        ensure!(spec.replicas == Some(wanted), "{:?}", spec.replicas);
        let seen = set.status.and_then(|status| status.observed_generation);
        ensure!(
            seen == set.metadata.generation,
            "its controller has not seen it"
        );
        Ok(())
    })
    .await?;
    // That controller may have been quick enough to take a pod away.
    wait::until("every pod is ready", READY, || async {
        let pods = bus.pods().list().await?;
        let stays = |pod: &&Pod| pod.metadata.deletion_timestamp.is_none();
        let ready = pods
            .iter()
            .filter(stays)
            .filter(|pod| is_ready(pod))
            .count();
        ensure!(ready == before.len(), "{ready} of {} are", before.len());
        Ok(())
    })
    .await?;
    faults::healthy(bus, READY).await?;
    Ok(())
}

/// Each change is acknowledged. Whether it is still there a moment later depends on when the agent looks.
async fn settings(bus: &Bus) -> anyhow::Result<()> {
    for node in bus.data_nodes().await? {
        node.call::<()>(&["CONFIG", "SET", "maxmemory", "1gb", "timeout", "0"])
            .await?;
    }
    wait::until("live settings are back", NEXT_LOOK, || {
        agreement::settings(bus)
    })
    .await
}

async fn users(bus: &Bus) -> anyhow::Result<()> {
    let mut wanted = Vec::new();
    for node in bus.data_nodes().await? {
        let before = node.users().await?;
        for command in [
            "ACL SETUSER intruder on >intruder ~* &* +@all",
            "ACL SETUSER reader +@all ~* >another",
        ] {
            let command: Vec<&str> = command.split(' ').collect();
            node.call::<()>(&command).await?;
        }
        wanted.push(before);
    }
    wait::until("live users are back", NEXT_LOOK, || async {
        for (node, wanted) in bus.data_nodes().await?.iter().zip(&wanted) {
            let now = node.users().await?;
            let amiss = differing(wanted, &now);
            ensure!(amiss.is_empty(), "{}: {amiss:?} differ", node.pod);
        }
        Ok(())
    })
    .await
}
