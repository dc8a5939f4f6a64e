//! Buses side by side, and one that is made again under its old name.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_api::CacheBusSpec;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::lab::Lab;
use crate::wait;

/// A key that every bus has, each with a value of its own.
const KEY: &str = "agent:whose";

pub const SCENARIO: Scenario = Scenario {
    name: "three_buses",
    proves: "three buses in two namespaces never mix, one that is deleted and made again takes up its kept volumes, and a namespace deletion completes",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let here = lab.namespace().await?;
    let there = lab.another_namespace("there").await?;
    let (kept, dropped, namesake) = futures::try_join!(
        marked(&lab, &here, "kept", "Retain"),
        marked(&lab, &here, "dropped", "Delete"),
        marked(&lab, &there, "kept", "Retain"),
    )?;
    unmixed(&[&kept, &dropped, &namesake]).await?;
    lab.note("three buses, none mixed");

    kept.delete().await?;
    dropped.delete().await?;
    wait::until(
        "volumes are kept and removed as said",
        Duration::from_mins(1),
        || async {
            let left = claims(&kept).await?;
            ensure!(
                left.iter().any(|name| name.starts_with("data-kept-redis-")),
                "left: {left:?}"
            );
            ensure!(
                !left.iter().any(|name| name.starts_with("data-dropped-")),
                "left: {left:?}"
            );
            Ok(())
        },
    )
    .await?;

    let again = Bus::ready(&lab, &here, "kept", spec("Retain")?).await?;
    ensure!(
        value(&again).await?.as_deref() == Some(whose(&again).as_str()),
        "the kept data is gone"
    );
    let dropped = Bus::ready(&lab, &here, "dropped", spec("Delete")?).await?;
    ensure!(value(&dropped).await?.is_none(), "the removed data is back");
    unmixed(&[&again, &dropped, &namesake]).await?;
    ensure!(
        value(&namesake).await?.as_deref() == Some(whose(&namesake).as_str()),
        "the namesake's data changed"
    );
    lab.note("made again: kept data taken up, removed data gone, none mixed");

    let began = std::time::Instant::now();
    lab.delete_namespace(&there).await?;
    lab.note(format_args!(
        "a namespace with a bus deleted in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn spec(reclaim: &str) -> anyhow::Result<CacheBusSpec> {
    small(json!({"replicas": 1, "storage": {"reclaim": reclaim}}))
}

async fn marked(lab: &Lab, namespace: &str, name: &str, reclaim: &str) -> anyhow::Result<Bus> {
    let bus = Bus::ready(lab, namespace, name, spec(reclaim)?).await?;
    bus.on_primary::<()>(&["SET", KEY, &whose(&bus)]).await?;
    Ok(bus)
}

fn whose(bus: &Bus) -> String {
    format!("{}/{}", bus.names.namespace(), bus.names.bus())
}

async fn value(bus: &Bus) -> anyhow::Result<Option<String>> {
    bus.on_primary(&["GET", KEY]).await
}

/// Fails unless each bus agrees with itself alone. Master names and passwords are the bus's own.
async fn unmixed(buses: &[&Bus]) -> anyhow::Result<()> {
    let mut masters = BTreeSet::new();
    let mut passwords = BTreeSet::new();
    for bus in buses {
        agreement::check(bus).await.with_context(|| whose(bus))?;
        ensure!(
            masters.insert(bus.master_name().await?),
            "a master name occurs twice"
        );
        for password in bus.access().await?.passwords.into_values() {
            ensure!(passwords.insert(password), "a password occurs twice");
        }
    }
    for bus in buses {
        let access = bus.access().await?;
        for other in buses.iter().filter(|other| whose(other) != whose(bus)) {
            let place = other.place(cachebus_core::names::Component::Redis, 0);
            let mut stranger = other.access().await?;
            stranger.passwords.clone_from(&access.passwords);
            let entered =
                crate::nodes::Node::open(&bus.client, &stranger, &place, "operator").await;
            ensure!(
                entered.is_err(),
                "a password of {} opens {}",
                whose(bus),
                whose(other)
            );
        }
    }
    Ok(())
}

async fn claims(bus: &Bus) -> anyhow::Result<Vec<String>> {
    let api: Api<PersistentVolumeClaim> =
        Api::namespaced(bus.client.clone(), bus.names.namespace());
    let found = tokio::time::timeout(READY, api.list(&ListParams::default())).await??;
    Ok(found.into_iter().map(|claim| claim.name_any()).collect())
}
