//! What people type and edit.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_core::names::{Component, ROLE_LABEL};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::access;
use crate::chaos::{Fault, Loses, Scene};
use crate::faults;
use crate::wait;

/// Time for what is undone at once, on a busy machine.
const UNDONE: Duration = Duration::from_secs(30);

/// Time for a rollout to reach its first pod.
const BEGUN: Duration = Duration::from_mins(2);

/// How long a replica may lead that a person has made a second primary: until the operator's next look.
const BY_WORD: Duration = Duration::from_secs(5);

pub const ALL: &[Fault] = &[
    Fault::new(
        "typed-failover",
        "`SENTINEL FAILOVER` on a Sentinel",
        |scene| Box::pin(typed_failover(scene)),
    )
    .loses(Loses::ByHand)
    .beside(BY_WORD),
    Fault::new(
        "typed-no-one",
        "`REPLICAOF NO ONE` on a replica",
        |scene| Box::pin(typed_no_one(scene)),
    )
    .beside(BY_WORD),
    Fault::new(
        "typed-replicaof",
        "`REPLICAOF` a replica on the primary",
        |scene| Box::pin(typed_replicaof(scene)),
    )
    .loses(Loses::ByHand),
    Fault::new(
        "typed-config",
        "`CONFIG SET` on the primary: no append-only file, no replicas needed, another memory policy",
        |scene| Box::pin(typed_config(scene)),
    )
    .loses(Loses::Nothing)
    .tells(&["SettingsDiffer"]),
    Fault::new(
        "typed-reset",
        "`SENTINEL RESET *` on every Sentinel",
        |scene| Box::pin(typed_on_sentinels(scene, true)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "typed-remove",
        "`SENTINEL REMOVE` on a Sentinel",
        |scene| Box::pin(typed_on_sentinels(scene, false)),
    )
    .loses(Loses::Nothing)
    .tells(&["NotMonitoring", "SentinelUnacquainted"]),
    Fault::new(
        "label-edited",
        "the role label of the primary's pod is removed, and a replica's says `primary`",
        |scene| Box::pin(label_edited(scene)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "route-edited",
        "the EndpointSlice of the primary's Service leads to a replica",
        |scene| Box::pin(route_edited(scene)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "service-deleted",
        "the primary's Service is deleted",
        |scene| Box::pin(service_deleted(scene)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "secrets-deleted",
        "every Secret with passwords, users or the authority is deleted",
        |scene| Box::pin(secrets(scene, false)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "secrets-spoilt",
        "every entry of these Secrets is overwritten",
        |scene| Box::pin(secrets(scene, true)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "spec-changed-in-rollout",
        "a setting that takes a restart is changed, and changed again when the first pod was restarted",
        |scene| Box::pin(changed_in_rollout(scene)),
    )
    .slow()
    .loses(Loses::Nothing)
    .tells(&["RollingOut"]),
];

async fn typed_failover(scene: &Scene) -> anyhow::Result<()> {
    let name = scene.bus.master_name().await?;
    let sentinel = &scene.sentinels()[0];
    let failover = ["SENTINEL", "FAILOVER", &name];
    scene.typed::<()>(sentinel, &failover).await?;
    scene.moved().await.map(|_| ())
}

async fn typed_no_one(scene: &Scene) -> anyhow::Result<()> {
    let replica = scene.replica()?;
    scene.typed(&replica, &["REPLICAOF", "NO", "ONE"]).await
}

async fn typed_replicaof(scene: &Scene) -> anyhow::Result<()> {
    let replica = scene.replica()?;
    let host = scene.bus.names.pod_fqdn(Component::Redis, &replica);
    let port = scene.bus.spec.port.to_string();
    scene
        .typed(&scene.primary, &["REPLICAOF", &host, &port])
        .await
}

async fn typed_config(scene: &Scene) -> anyhow::Result<()> {
    let settings = [
        "CONFIG",
        "SET",
        "appendonly",
        "no",
        "min-replicas-to-write",
        "0",
        "maxmemory-policy",
        "allkeys-random",
    ];
    scene.typed::<()>(&scene.primary, &settings).await?;
    wait::until("the settings are back", UNDONE, || async {
        let place = scene.place(&scene.primary)?;
        let config = scene.bus.root(place).await?.config().await?;
        let now = config.get("appendonly").map(String::as_str);
        ensure!(now == Some("yes"), "appendonly is {now:?}");
        Ok(())
    })
    .await
}

async fn typed_on_sentinels(scene: &Scene, reset: bool) -> anyhow::Result<()> {
    let name = scene.bus.master_name().await?;
    let sentinels = scene.sentinels();
    if !reset {
        let remove = ["SENTINEL", "REMOVE", &name];
        return scene.typed(&sentinels[0], &remove).await;
    }
    for sentinel in &sentinels {
        let all = ["SENTINEL", "RESET", "*"];
        scene.typed::<u64>(sentinel, &all).await?;
    }
    Ok(())
}

async fn label_edited(scene: &Scene) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(scene.bus.client.clone(), scene.bus.names.namespace());
    for (pod, role) in [
        (scene.primary.clone(), None),
        (scene.replica()?, Some("primary")),
    ] {
        let patch = Patch::Merge(json!({"metadata": {"labels": {ROLE_LABEL: role}}}));
        pods.patch(&pod, &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

async fn route_edited(scene: &Scene) -> anyhow::Result<()> {
    let slices: Api<EndpointSlice> =
        Api::namespaced(scene.bus.client.clone(), scene.bus.names.namespace());
    let address = scene.address(&scene.replica()?).await?;
    let edit = json!([{"op": "replace", "path": "/endpoints/0/addresses/0", "value": address}]);
    let edit = Patch::Json::<()>(serde_json::from_value(edit)?);
    let name = scene.bus.names.primary_service();
    slices.patch(&name, &PatchParams::default(), &edit).await?;
    wait::until("the route is back", UNDONE, || async {
        let slice = slices.get(&name).await?;
        let leads = slice.endpoints.first().map(|one| one.addresses.clone());
        ensure!(leads != Some(vec![address.clone()]), "it is not");
        Ok(())
    })
    .await
}

async fn service_deleted(scene: &Scene) -> anyhow::Result<()> {
    let services: Api<Service> =
        Api::namespaced(scene.bus.client.clone(), scene.bus.names.namespace());
    let name = scene.bus.names.primary_service();
    services.delete(&name, &DeleteParams::default()).await?;
    wait::until("the Service is back", UNDONE, || async {
        let service = services.get(&name).await?;
        ensure!(service.metadata.deletion_timestamp.is_none(), "not yet");
        Ok(())
    })
    .await
}

/// All but those with certificates: Sentinels are restarted one by one for these.
async fn secrets(scene: &Scene, spoil: bool) -> anyhow::Result<()> {
    let (bus, names) = (&scene.bus, &scene.bus.names);
    let api: Api<Secret> = Api::namespaced(bus.client.clone(), names.namespace());
    let generated = [
        names.authority(),
        names.credentials(),
        names.auth(Component::Redis),
        names.auth(Component::Sentinel),
        names.acl(),
    ];
    let mut wanted = Vec::new();
    for secret in &generated {
        wanted.push(access::entries(&bus.client, names, secret).await?);
    }
    // One after the other: where all are gone at once nobody has a copy.
    for (secret, wanted) in generated.iter().zip(&wanted) {
        if spoil {
            let spoilt = wanted
                .keys()
                .map(|entry| (entry.clone(), json!("c3BvaWx0")));
            let spoilt: serde_json::Map<_, _> = spoilt.collect();
            let edit = Patch::Merge(json!({"data": spoilt}));
            api.patch(secret, &PatchParams::default(), &edit).await?;
        } else {
            api.delete(secret, &DeleteParams::default()).await?;
        }
        wait::until(&format!("{secret} is as it was"), UNDONE, || async {
            let now = access::entries(&bus.client, names, secret).await?;
            ensure!(now == *wanted, "it is not");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Asks for a rollout, and returns when it has restarted its first data pod.
pub async fn rollout_begun(scene: &Scene) -> anyhow::Result<()> {
    let replicas = scene.replicas();
    let before = scene.bus.pods().uids().await?;
    faults::ask_rollout(&scene.bus).await?;
    wait::until("a data pod is restarted", BEGUN, || async {
        let now = scene.bus.pods().uids().await?;
        let mut restarted = replicas.iter().filter(|pod| {
            let now = now.get(*pod);
            now.is_some() && now != before.get(*pod)
        });
        restarted.next().context("none is").map(|_| ())
    })
    .await
}

async fn changed_in_rollout(scene: &Scene) -> anyhow::Result<()> {
    rollout_begun(scene).await?;
    faults::ask_rollout(&scene.bus).await
}
