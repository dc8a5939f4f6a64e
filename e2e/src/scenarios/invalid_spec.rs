//! A spec that cannot be carried out leaves the last one that could in force.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use cachebus_api::CacheBus;
use serde_json::json;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, READY, condition_status, conditions, small};
use crate::client_pod::ClientPod;
use crate::lab::Lab;
use crate::wait;

/// Time for a switch to be followed, and for the Sentinels to know every replica of the new primary.
const FOLLOWED: Duration = Duration::from_mins(1);

const SERVICE: &str = "writer";

pub const SCENARIO: Scenario = Scenario {
    name: "invalid_spec",
    proves: "a bus whose spec became invalid says so, keeps its pods and settings, and is followed when its Sentinels switch, by an operator that never saw a valid spec",
    alone: true,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let spec = small(json!({
        "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
        "services": [{"name": SERVICE, "cache": {"write": ["agent"]}}],
    }))?;
    let bus = Bus::ready(&lab, &namespace, "bus", spec).await?;
    let before = agreement::check(&bus).await?;
    let pods = bus.pods().uids().await?;

    let mut invalid = bus.clone();
    invalid.spec.config = BTreeMap::from([("bind".to_owned(), "0.0.0.0".to_owned())]);
    invalid.spec.connections.max_clients += 1;
    invalid.send().await?;
    let said = |object: Option<&CacheBus>| {
        object.is_some_and(|object| condition_status(object, "Valid") == Some("False"))
    };
    let object = wait::object(&bus.api(), "bus", "Valid=False", READY, said).await?;
    let told = object.map(|object| conditions(&object)).unwrap_or_default();
    ensure!(told.contains("spec.config[bind]"), "it says {told}");

    // What the operator remembers goes with it.
    lab.operator.stop().await?;
    lab.operator.start().await?;
    let master_name = bus.master_name().await?;
    let failover = ["SENTINEL", "FAILOVER", &master_name];
    bus.on::<()>(&bus.sentinel_places().remove(0), &failover)
        .await?;
    let after = wait::until("the switch is followed", FOLLOWED, || async {
        let primary = agreement::topology(&bus).await?;
        ensure!(primary != before, "{before} is still the primary");
        Ok(primary)
    })
    .await?;
    lab.note(format_args!(
        "Sentinels went from {before} to {after}, and the operator after them"
    ));
    ClientPod::start(
        &lab.client,
        &namespace,
        "first-write",
        &bus.names.binding(SERVICE),
        &["first-write"],
        None,
    )
    .await?
    .output(READY)
    .await?;
    for node in bus.data_nodes().await? {
        let live = node.config().await?.remove("maxclients");
        ensure!(
            live == Some(bus.spec.connections.max_clients.to_string()),
            "{}: maxclients is {live:?}",
            node.pod
        );
    }
    ensure!(bus.pods().uids().await? == pods, "a pod was replaced");

    bus.send().await?;
    bus.await_ready(READY).await?;
    ensure!(
        agreement::check(&bus).await? == after,
        "the primary moved again"
    );
    Ok(())
}
