//! A bus that is put to sleep comes back whole.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, condition_status, small};
use crate::keys;
use crate::lab::Lab;
use crate::wait;
use crate::watch::{self, Watch};

/// Time for all pods to end in order, or to come back.
const LIMIT: Duration = Duration::from_mins(3);

/// How long it is watched asleep: longer than the operator leaves between two looks at leisure.
const ASLEEP: Duration = Duration::from_secs(40);

pub const SCENARIO: Scenario = Scenario {
    name: "hibernate",
    proves: "a hibernated bus has no pods and keeps volumes and Secrets, nothing is written while it sleeps, and it wakes with the same primary and every key",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let mut bus = Bus::ready(&lab, &namespace, "bus", small(keys::spec())?).await?;
    keys::load(&lab, &bus, keys::some(&lab)).await?;
    let primary = agreement::check(&bus).await?;
    let passwords = bus.access().await?.passwords;
    let claims = claims(&bus).await?;

    let began = Instant::now();
    bus.spec.hibernated = true;
    bus.send().await?;
    let is_asleep = |object: Option<&cachebus_api::CacheBus>| {
        object.is_some_and(|bus| condition_status(bus, "Hibernated") == Some("True"))
    };
    wait::object(&bus.api(), bus.names.bus(), "asleep", LIMIT, is_asleep).await?;
    bus.pods().await_none(LIMIT).await?;
    lab.note(format_args!(
        "asleep after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    let version = bus.object().await?.resource_version();
    wait::throughout("nothing is written", ASLEEP, || async {
        ensure!(bus.object().await?.resource_version() == version);
        ensure!(bus.pods().uids().await?.is_empty());
        Ok(())
    })
    .await?;
    ensure!(self::claims(&bus).await? == claims, "other claims");

    let watched = Watch::start(&bus);
    let began = Instant::now();
    bus.spec.hibernated = false;
    bus.send().await?;
    bus.await_ready(LIMIT).await?;
    let woke = began.elapsed();
    let after = agreement::check(&bus).await?;
    let history = watched.seen();
    watch::never_two(&history)?;
    ensure!(after == primary, "{primary} led, {after} leads: {history}");
    keys::verify(&lab, &bus, keys::some(&lab)).await?;
    bus.same_passwords(&passwords).await?;
    lab.note(format_args!(
        "awake after {:.1} s, {after} leads, every key there",
        woke.as_secs_f64()
    ));
    Ok(())
}

/// The UID of each of its claims, by name.
async fn claims(bus: &Bus) -> anyhow::Result<BTreeMap<String, Option<String>>> {
    let api: Api<PersistentVolumeClaim> =
        Api::namespaced(bus.client.clone(), bus.names.namespace());
    let claims = api.list(&ListParams::default()).await?.items;
    Ok(claims
        .into_iter()
        .map(|claim| (claim.name_any(), claim.uid()))
        .collect())
}
