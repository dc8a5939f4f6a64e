//! A primary that is cut off from everybody stops taking writes before another takes them.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use serde_json::json;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::isolation::Isolated;
use crate::lab::Lab;
use crate::wait;
use crate::writable::{Answer, Writers};

/// `replication.fencingWindow` by default.
const WINDOW: Duration = Duration::from_secs(3);

/// The looks that it takes to act on it, on a busy machine.
const LOOKS: Duration = Duration::from_secs(2);

/// Time for Sentinels to make another the primary.
const FAILOVER: Duration = Duration::from_secs(40);

/// How long the cut goes on when another is the primary.
const AFTERWARDS: Duration = Duration::from_secs(15);

const SERVICE: &str = "writer";

pub const SCENARIO: Scenario = Scenario {
    name: "fenced",
    proves: "a primary that is cut off from every pod refuses writes within the fencing window and before another takes them, takes none until it follows, and rejoins by itself",
    alone: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    // The engine's own bound would end writes as well: this is about the fence.
    let spec = small(json!({
        "replication": {"minReplicasToWrite": 0},
        "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
        "services": [{"name": SERVICE, "cache": {"write": ["agent"]}}],
    }))?;
    let bus = Bus::ready(&lab, &namespace, "bus", spec).await?;
    let before = agreement::check(&bus).await?;
    let (node, address) = whereabouts(&bus, &before).await?;
    let writers = Writers::start(&bus, SERVICE, "agent:fenced");
    wait::until("the primary takes writes", READY, || async {
        writers.seen().first(&before, Answer::Took, Duration::ZERO)
    })
    .await?;

    let isolated = Isolated::begin(&node, &address)?;
    let cut = writers.elapsed();
    let fenced = wait::until("it refuses writes", FAILOVER, || async {
        writers.seen().first(&before, Answer::NoReplicas, cut)
    })
    .await?;
    let (after, took_over) = wait::until("another takes writes", FAILOVER, || async {
        writers.seen().other(&before)
    })
    .await?;
    wait::throughout("it refuses writes", AFTERWARDS, || async {
        writers.seen().took_none_after(&before, fenced)
    })
    .await?;
    drop(isolated);
    bus.await_ready(READY).await?;
    ensure!(
        agreement::check(&bus).await? == after,
        "the primary moved again"
    );
    let seen = writers.seen();
    seen.took_none_after(&before, fenced)?;
    seen.never_two()?;
    let (fenced, took_over) = (fenced.saturating_sub(cut), took_over.saturating_sub(cut));
    lab.note(format_args!(
        "{before} refused writes {:.1} s after the cut, {after} took them {:.1} s after it; {seen}",
        fenced.as_secs_f64(),
        took_over.as_secs_f64(),
    ));
    ensure!(fenced <= WINDOW + LOOKS, "fenced after {fenced:?}");
    Ok(())
}

/// The node of a pod, and its address.
async fn whereabouts(bus: &Bus, name: &str) -> anyhow::Result<(String, String)> {
    let pods = bus.pods().list().await?;
    let pod = pods.into_iter().find(|pod| pod.name_any() == name);
    let pod = pod.with_context(|| format!("{name} is not there"))?;
    let node = pod.spec.and_then(|spec| spec.node_name);
    let address = pod.status.and_then(|status| status.pod_ip);
    node.zip(address)
        .with_context(|| format!("{name} does not run"))
}
