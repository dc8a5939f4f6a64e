//! Agents and Sentinels bring a bus back while the operator is away.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, small};
use crate::keys;
use crate::lab::Lab;
use crate::wait;
use crate::watch::{self, Watch};

/// Time for a bus to come back.
const BACK: Duration = Duration::from_mins(2);

pub const SCENARIO: Scenario = Scenario {
    name: "agents_alone",
    proves: "with the operator away, all pods die at once and the bus comes back by itself with every key and one primary; a namespace deletion completes",
    alone: true,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(&lab, &namespace, "bus", small(keys::spec())?).await?;
    keys::load(&lab, &bus, keys::some(&lab)).await?;
    let doomed = lab.another_namespace("doomed").await?;
    let alone = small(json!({"replicas": 0}))?;
    Bus::ready(&lab, &doomed, "bus", alone).await?;
    lab.operator.stop().await?;
    let result = unattended(&lab, &bus, &doomed).await;
    lab.operator.start().await?;
    result?;
    bus.await_ready(BACK).await?;
    agreement::check(&bus).await?;
    keys::verify(&lab, &bus, keys::some(&lab)).await
}

async fn unattended(lab: &Lab, bus: &Bus, doomed: &str) -> anyhow::Result<()> {
    restart(lab, bus).await?;
    lab.delete_namespace(doomed).await?;
    lab.note("without an operator: a namespace with a bus deleted");
    Ok(())
}

async fn restart(lab: &Lab, bus: &Bus) -> anyhow::Result<()> {
    let uids = bus.pods().uids().await?;
    let watched = Watch::start(bus);
    let began = std::time::Instant::now();
    bus.pods().kill().await?;
    // The pods that come; those that die may hand their lead over first.
    let reborn = Watch::start(bus);
    bus.pods().await_replaced(&uids, BACK).await?;
    let after = wait::until("all agree on one primary", BACK, || {
        agreement::unattended(bus)
    })
    .await?;
    lab.note(format_args!(
        "without an operator: back after {:.1} s, {after} leads",
        began.elapsed().as_secs_f64()
    ));
    watch::never_two(&watched.seen())?;
    let history = reborn.seen();
    ensure!(
        history
            .primaries()
            .is_subset(&BTreeSet::from([after.as_str()])),
        "other primaries than {after}: {history}"
    );
    Ok(())
}
