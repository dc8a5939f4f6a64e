//! Failure 11: what only a restart brings in is rolled out pod by pod, the primary last.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use serde_json::json;

use super::Scenario;
use crate::acks::{self, Writer};
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::lab::Lab;
use crate::pods::is_ready;
use crate::watch::{self, Watch};

/// Time for three data pods to be restarted one by one.
const ROLLED: Duration = Duration::from_mins(6);

/// Between two looks at the pods.
const PAUSE: Duration = Duration::from_millis(200);

pub const SCENARIO: Scenario = Scenario {
    name: "rollout",
    proves: "a directive that only a restart brings in reaches every data pod, one at a time and the primary's last, without a lost acknowledged write or a second primary",
    alone: false,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let mut bus = Bus::ready(&lab, &namespace, "bus", small(watch::granted(json!({})))?).await?;
    let before = agreement::check(&bus).await?;
    let uids = bus.pods().uids().await?;
    let watched = Watch::start(&bus);
    let writer = Writer::start(&bus);

    bus.spec.connections.tcp_backlog += 1;
    bus.send().await?;
    let order = tokio::time::timeout(ROLLED, replaced(&bus, &uids)).await;
    let order = order.context("the data pods were not all restarted in time")??;
    ensure!(
        order.last() == Some(&before),
        "{before} led; order: {order:?}"
    );
    bus.await_ready(READY).await?;
    let after = agreement::check(&bus).await?;
    let acknowledged = writer.stop();
    watch::never_two(&watched.seen())?;
    acks::verify(&bus, &acknowledged).await?;

    let status = bus.object().await?.status.unwrap_or_default();
    let last = status.last_failover.context("no lastFailover")?;
    ensure!(
        (last.from.as_str(), last.to.as_str(), last.reason.as_str())
            == (before.as_str(), after.as_str(), "Rollout"),
        "{last:?}"
    );
    ensure!(
        status.pending_restart.is_empty(),
        "{:?}",
        status.pending_restart
    );
    let now = bus.pods().uids().await?;
    let sentinels = bus.sentinel_places();
    for sentinel in sentinels.into_iter().map(|place| place.pod) {
        ensure!(
            now.get(&sentinel) == uids.get(&sentinel),
            "{sentinel} was restarted for nothing"
        );
    }
    lab.note(format_args!(
        "{order:?}, then {after} leads: no write taken for {:?} ms, {} acknowledged writes kept",
        last.write_gap_ms,
        acknowledged.len()
    ));
    Ok(())
}

/// Watches until each data pod is another one and ready, and returns the order in which they went. Fails where two are away.
pub(super) async fn replaced(
    bus: &Bus,
    before: &BTreeMap<String, String>,
) -> anyhow::Result<Vec<String>> {
    let all: Vec<String> = bus
        .data_places()
        .into_iter()
        .map(|place| place.pod)
        .collect();
    let mut order: Vec<String> = Vec::new();
    loop {
        let pods = bus.pods().list().await?;
        let ready = |name: &String| {
            let pod = pods.iter().find(|pod| pod.name_any() == *name);
            pod.is_some_and(|pod| is_ready(pod) && pod.metadata.deletion_timestamp.is_none())
        };
        let away: Vec<&String> = all.iter().filter(|name| !ready(name)).collect();
        ensure!(away.len() <= 1, "away at once: {away:?}");
        for pod in &pods {
            let name = pod.name_any();
            let new = pod.uid().as_ref() != before.get(&name);
            if new && all.contains(&name) && !order.contains(&name) {
                order.push(name);
            }
        }
        if order.len() == all.len() && away.is_empty() {
            return Ok(order);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
