//! A person asks for another primary.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_core::names::SWITCHOVER_ANNOTATION;
use kube::ResourceExt as _;
use serde_json::json;

use super::Scenario;
use crate::acks::{self, Writer};
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::lab::Lab;
use crate::wait;
use crate::watch::{self, Watch};

/// Time from the request to its answer.
const ANSWERED: Duration = Duration::from_secs(30);

pub const SCENARIO: Scenario = Scenario {
    name: "switchover",
    proves: "an annotation moves the primary to any replica or to a named one, without a lost acknowledged write or a second primary, and one that cannot be met changes nothing",
    alone: false,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(&lab, &namespace, "bus", small(watch::granted(json!({})))?).await?;
    let first = agreement::check(&bus).await?;
    let uids = bus.pods().uids().await?;

    let second = switch(&lab, &bus, "any").await?;
    ensure!(second != first, "{first} is still the primary");
    let third = switch(&lab, &bus, &first).await?;
    ensure!(
        third == first,
        "{third} is the primary, {first} was asked for"
    );

    bus.ask(SWITCHOVER_ANNOTATION, "bus-redis-9").await?;
    answered(&bus).await?;
    bus.await_ready(READY).await?;
    ensure!(
        bus.primary().await? == first,
        "a refused request moved the primary"
    );
    ensure!(bus.pods().uids().await? == uids, "a pod was replaced");
    Ok(())
}

/// Asks for another primary under writes, and returns it.
async fn switch(lab: &Lab, bus: &Bus, for_whom: &str) -> anyhow::Result<String> {
    let before = bus.primary().await?;
    let watched = Watch::start(bus);
    let writer = Writer::start(bus);
    bus.ask(SWITCHOVER_ANNOTATION, for_whom).await?;
    answered(bus).await?;
    let moved = wait::until("another pod is the primary", ANSWERED, || async {
        let now = bus.primary().await?;
        ensure!(now != before, "{before} is the primary");
        Ok(now)
    })
    .await?;
    bus.await_ready(READY).await?;
    ensure!(
        agreement::check(bus).await? == moved,
        "the primary moved again"
    );
    let acknowledged = writer.stop();
    watch::never_two(&watched.seen())?;
    acks::verify(bus, &acknowledged).await?;

    let status = bus.object().await?.status.unwrap_or_default();
    let last = status.last_failover.context("no lastFailover")?;
    ensure!(
        (last.from.as_str(), last.to.as_str(), last.reason.as_str())
            == (before.as_str(), moved.as_str(), "Switchover"),
        "{last:?}"
    );
    let gap = last.write_gap_ms.context("no writeGapMs")?;
    lab.note(format_args!(
        "asked for {for_whom}: {before} to {moved}, no write taken for {gap} ms, {} acknowledged writes kept",
        acknowledged.len()
    ));
    Ok(moved)
}

/// Waits until the operator has taken the request off.
async fn answered(bus: &Bus) -> anyhow::Result<()> {
    let answered = |object: Option<&cachebus_api::CacheBus>| {
        object.is_some_and(|object| !object.annotations().contains_key(SWITCHOVER_ANNOTATION))
    };
    let name = bus.names.bus();
    wait::object(&bus.api(), name, "answered", ANSWERED, answered).await?;
    Ok(())
}
