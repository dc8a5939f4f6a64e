//! The operator as it is installed: the pod that leads is lost while a bus comes to life, and the other one finishes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cachebus_api::CacheBus;
use serde_json::json;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, READY, is_ready, small};
use crate::lab::Lab;
use crate::process::Process;
use crate::wait;
use crate::watch::{self, Watch};

/// How long a Lease outlives its last renewal: the operator's own figure.
const LEASE: Duration = Duration::from_secs(10);

/// Time for the other pod to see that the Lease is free, and to take it.
const TAKEN: Duration = Duration::from_secs(5);

/// Time for what is left of the bus's start, on a busy machine.
const MARGIN: Duration = Duration::from_secs(45);

pub const SCENARIO: Scenario = Scenario {
    name: "leader_killed",
    proves: "the leading operator pod is killed while a bus comes to life: the other pod holds the Lease within its 10 s and 5 s more, and the bus is Ready within 45 s more, with one primary from first to last and no second password",
    alone: true,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    lab.operator.await_ready().await?;
    let pods = lab.operator.pods();
    let uids = pods.uids().await?;
    let leader = wait::until("a pod leads", LEASE + TAKEN, || async {
        lab.operator.leader().await?.context("none leads")
    })
    .await?;
    let uid = uids
        .get(&leader)
        .with_context(|| format!("{leader} leads and is no pod of the Deployment"))?;
    ensure!(uids.len() > 1, "one operator pod has nobody to follow it");
    let mut processes = Process::all("cachebus", Some("operator"))?;
    processes.retain(|process| process.is_of_pod(uid));
    ensure!(!processes.is_empty(), "{leader} runs no operator");

    let bus = Bus::apply(
        &lab,
        &namespace,
        "bus",
        small(watch::granted(json!({
            "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
            "services": [{"name": "writer", "cache": {"write": ["agent"]}}],
        })))?,
    )
    .await?;
    let watched = Watch::start(&bus);
    // An intent is on record, and little has come of it.
    let intent = |bus: Option<&CacheBus>| {
        let status = bus.and_then(|bus| bus.status.as_ref());
        status.is_some_and(|status| status.topology.is_some())
    };
    wait::object(&bus.api(), "bus", "a primary is intended", READY, intent).await?;
    // Killed first: a pod that is only deleted gives the Lease back. Deleted then: its next process would take the Lease up.
    for process in &processes {
        process.kill()?;
    }
    let killed = Instant::now();
    pods.kill_one(&leader).await?;
    ensure!(!is_ready(&bus.object().await?), "it was Ready too soon");
    let passwords = bus.access().await?.passwords;

    let successor = wait::until("another pod leads", LEASE + TAKEN, || async {
        let now = lab.operator.leader().await?.context("none leads")?;
        ensure!(now != leader, "it is still {now}");
        Ok(now)
    })
    .await?;
    ensure!(
        uids.contains_key(&successor),
        "{successor} leads, which came after the one that stood by"
    );
    let taken = killed.elapsed();
    let left = (LEASE + TAKEN + MARGIN).saturating_sub(taken);
    bus.await_ready(left).await?;
    lab.note(format_args!(
        "{successor} leads {:.1} s after {leader} was killed, Ready after {:.1} s",
        taken.as_secs_f64(),
        killed.elapsed().as_secs_f64()
    ));
    agreement::check(&bus).await?;
    bus.same_passwords(&passwords).await?;
    let history = watched.seen();
    watch::never_two(&history)?;
    ensure!(
        history.primaries().len() == 1,
        "not one primary from first to last: {history}"
    );
    ensure!(
        lab.operator.leader().await?.as_ref() == Some(&successor),
        "{successor} does not lead any more"
    );
    lab.operator.await_ready().await
}
