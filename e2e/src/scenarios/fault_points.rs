//! The operator dies at each point of a bus's first minute, and of a rollout, and the next one finishes.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::lab::Lab;
use crate::operator_pod::OperatorPod;
use crate::watch::{self, Watch};

/// Time for a fresh bus to take the operator to its point.
const REACHED: Duration = Duration::from_secs(90);

/// Exit code of a process that aborted: 128 + SIGABRT.
const ABORTED: i32 = 134;

/// The short form takes every so many-th point, beginning with another in each run.
const STRIDE: usize = 14;

pub const SCENARIO: Scenario = Scenario {
    name: "fault_points",
    proves: "an operator killed at each of its fault points leaves a bus that the next one makes Ready, with never two primaries and no second password",
    alone: true,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    lab.operator.stop().await?;
    let result = all(&lab, &namespace).await;
    lab.operator.start().await?;
    result
}

async fn all(lab: &Lab, namespace: &str) -> anyhow::Result<()> {
    let points = OperatorPod::printed(lab, "fault-points").await?;
    let points: Vec<&str> = points.lines().filter(|line| !line.is_empty()).collect();
    ensure!(
        points.len() >= 20,
        "only {} points: {points:?}",
        points.len()
    );
    let (first, stride) = lab.cases(STRIDE)?;
    lab.note(format_args!(
        "every {stride} of {} points from number {first}, by seed {}",
        points.len(),
        lab.seed
    ));
    for (number, point) in points.iter().enumerate().skip(first).step_by(stride) {
        one(lab, namespace, &format!("bus-{number}"), point)
            .await
            .with_context(|| format!("killed at {point}"))?;
    }
    Ok(())
}

async fn one(lab: &Lab, namespace: &str, name: &str, point: &str) -> anyhow::Result<()> {
    let planned = is_of_planned_changes(point);
    let mut spec = small(watch::granted(json!({
        "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
        "services": [{"name": "writer", "cache": {"write": ["agent"]}}],
    })))?;
    if planned {
        let operator = OperatorPod::start(lab, None, &[]).await?;
        Bus::ready(lab, namespace, name, spec.clone()).await?;
        operator.remove().await?;
        // Only a restart brings it in: one pod after another, and the lead is handed over.
        spec.connections.tcp_backlog += 1;
    }
    let operator = OperatorPod::start(lab, None, &[("CACHEBUS_FAULT_POINT", point)]).await?;
    let bus = Bus::apply(lab, namespace, name, spec).await?;
    let watched = Watch::start(&bus);
    let code = operator.ended(REACHED).await?;
    let said = operator.logs().await?;
    ensure!(
        code == ABORTED && said.contains("fault point reached"),
        "it ended with {code}: {said}"
    );
    operator.remove().await?;
    // Where the Secret is not there yet nobody has seen a password, and any may follow.
    let first = bus.access().await.ok().map(|access| access.passwords);

    let operator = OperatorPod::start(lab, None, &[]).await?;
    bus.await_ready(READY).await?;
    agreement::check(&bus).await?;
    if let Some(first) = first {
        bus.same_passwords(&first).await?;
    }
    let history = watched.seen();
    watch::never_two(&history)?;
    ensure!(
        planned || history.primaries().len() == 1,
        "not one primary from first to last: {history}"
    );
    lab.note(format_args!("killed at {point}: Ready"));
    bus.delete().await?;
    operator.remove().await
}

/// Whether a bus that comes to life does not pass this point, and one whose pods are restarted does.
fn is_of_planned_changes(point: &str) -> bool {
    point.ends_with("-handover") || point.ends_with("-restart")
}
