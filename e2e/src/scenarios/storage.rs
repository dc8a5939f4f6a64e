//! Volumes: they grow, where their class allows it and where it does not, and change their class.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::Scenario;
use super::drain::everywhere;
use super::rollout::replaced;
use crate::acks::{self, Writer};
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::lab::Lab;
use crate::wait;
use crate::watch::{Watch, granted, never_two};

/// Time for all volumes to be replaced one by one.
const ROLLED: Duration = Duration::from_mins(10);

/// A class of the lab's own provisioner that says that its volumes can grow. None does so by itself: the scenario plays the driver.
const GROWING: &str = "e2e-growing";

pub const SCENARIO: Scenario = Scenario {
    name: "storage",
    proves: "volumes grow by replacement where their class lets none grow, move to another class, and grow in place there; under writes, never two data pods away, the primary's last, never two primaries, no acknowledged write lost",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let classes: Api<StorageClass> = Api::all(lab.client.clone());
    classes.delete(GROWING, &DeleteParams::default()).await.ok();
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": GROWING},
        "provisioner": "rancher.io/local-path",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": true,
    });
    classes
        .create(&PostParams::default(), &serde_json::from_value(class)?)
        .await?;
    let result = volumes(&lab, &namespace).await;
    classes.delete(GROWING, &DeleteParams::default()).await?;
    result
}

async fn volumes(lab: &Lab, namespace: &str) -> anyhow::Result<()> {
    let mut bus = Bus::ready(
        lab,
        namespace,
        "bus",
        small(everywhere(granted(json!({}))))?,
    )
    .await?;
    let watched = Watch::start(&bus);
    let writer = Writer::start(&bus);
    bus.spec.storage.size = serde_json::from_value(json!("96Mi"))?;
    if lab.long {
        replaced_under_writes(lab, &bus, "96Mi in place of 64Mi", 3).await?;
    }
    bus.spec.storage.storage_class_name = Some(GROWING.to_owned());
    replaced_under_writes(lab, &bus, "96Mi, of another class", 6).await?;
    grown(lab, &mut bus).await?;
    let acknowledged = writer.stop();
    acks::verify(&bus, &acknowledged).await?;
    never_two(&watched.seen())?;
    lab.note(format_args!(
        "{} acknowledged writes kept",
        acknowledged.len()
    ));
    Ok(())
}

/// Has volumes replaced, so many of them.
async fn replaced_under_writes(
    lab: &Lab,
    bus: &Bus,
    what: &str,
    volumes: usize,
) -> anyhow::Result<()> {
    let primary = agreement::check(bus).await?;
    let (pods, claims) = (bus.pods().uids().await?, claims(bus).await?);
    bus.send().await?;
    let order = tokio::time::timeout(ROLLED, replaced(bus, &pods)).await;
    let order = order.context("the data pods were not all replaced in time")??;
    ensure!(
        order.last() == Some(&primary),
        "{primary} led; order: {order:?}"
    );
    bus.await_ready(READY).await?;
    agreement::check(bus).await?;
    let after = self::claims(bus).await?;
    let new = after.iter().filter(|(name, claim)| {
        claims
            .get(*name)
            .is_none_or(|before| before.uid() != claim.uid())
    });
    let new = new.count();
    ensure!(new == volumes, "{new} volumes are new ones, not {volumes}");
    let class = bus.spec.storage.storage_class_name.as_ref();
    for (name, claim) in &after {
        let spec = claim.spec.as_ref().context("no spec")?;
        ensure!(
            class.is_none() || spec.storage_class_name.as_ref() == class,
            "{name}: {spec:?}"
        );
        let size = if name.contains("redis") {
            bus.spec.storage.size.as_str()
        } else {
            bus.spec.sentinel.storage_size.as_str()
        };
        ensure!(
            asked(claim) == Some(size),
            "{name} asks for {:?}",
            asked(claim)
        );
    }
    lab.note(format_args!("{what}: {order:?}"));
    Ok(())
}

/// Has volumes grow where they are. What a driver would do, this does.
async fn grown(lab: &Lab, bus: &mut Bus) -> anyhow::Result<()> {
    let before = bus.pods().uids().await?;
    bus.spec.storage.size = serde_json::from_value(json!("128Mi"))?;
    bus.send().await?;
    let data: Vec<String> = bus
        .data_places()
        .into_iter()
        .map(|place| bus.names.claim(&place.pod))
        .collect();
    wait::until("the claims ask for more", READY, || async {
        let claims = claims(bus).await?;
        for name in &data {
            let asked = claims.get(name).and_then(asked);
            ensure!(asked == Some("128Mi"), "{name} asks for {asked:?}");
        }
        Ok(())
    })
    .await?;
    let api: Api<PersistentVolumeClaim> =
        Api::namespaced(bus.client.clone(), bus.names.namespace());
    let volumes: Api<PersistentVolume> = Api::all(bus.client.clone());
    let capacity = json!({"capacity": {"storage": "128Mi"}});
    for name in &data {
        let volume = api.get(name).await?.spec.and_then(|spec| spec.volume_name);
        let volume = volume.with_context(|| format!("{name} has no volume"))?;
        let grown = Patch::Merge(json!({"spec": capacity}));
        volumes
            .patch(&volume, &PatchParams::default(), &grown)
            .await?;
        let grown = Patch::Merge(json!({"status": capacity}));
        api.patch_status(name, &PatchParams::default(), &grown)
            .await?;
    }
    bus.await_ready(READY).await?;
    ensure!(bus.pods().uids().await? == before, "a pod was restarted");
    lab.note("128Mi in place of 96Mi: all in place, no pod restarted");
    Ok(())
}

/// The claims of a bus's volumes, by name.
pub(super) async fn claims(bus: &Bus) -> anyhow::Result<BTreeMap<String, PersistentVolumeClaim>> {
    let api: Api<PersistentVolumeClaim> =
        Api::namespaced(bus.client.clone(), bus.names.namespace());
    let claims = api.list(&ListParams::default()).await?;
    Ok(claims
        .into_iter()
        .map(|claim| (claim.name_any(), claim))
        .collect())
}

/// What a claim asks for.
fn asked(claim: &PersistentVolumeClaim) -> Option<&str> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Some(&requests.get("storage")?.0)
}
