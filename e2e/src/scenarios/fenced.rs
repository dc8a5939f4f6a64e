//! A primary that is cut off from everybody stops taking writes before another takes them.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_e2e::history::{self, Answer, Micros, Seen};
use kube::ResourceExt as _;
use serde_json::json;

use super::Scenario;
use crate::agreement;
use crate::bus::{self, Bus, READY, small};
use crate::lab::Lab;
use crate::load;
use crate::machine::Rules;
use crate::wait;
use crate::watch::{self, Watch};

/// `replication.fencingWindow` by default.
const WINDOW: Duration = Duration::from_secs(3);

/// The looks that it takes to act on it, on a busy machine.
const LOOKS: Duration = Duration::from_secs(2);

/// Time for Sentinels to make another the primary.
const FAILOVER: Duration = Duration::from_secs(40);

/// How long the cut goes on when another is the primary.
const AFTERWARDS: Duration = Duration::from_secs(15);

pub const SCENARIO: Scenario = Scenario {
    name: "fenced",
    proves: "a primary that is cut off from every pod refuses writes within the fencing window and before another takes them, takes none until it follows, and rejoins by itself",
    alone: false,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    // The engine's own bound would end writes as well: this is about the fence.
    let mut spec = json!({"replication": {"minReplicasToWrite": 0}});
    bus::merge(&mut spec, load::granted());
    let bus = Bus::ready(&lab, &namespace, "bus", small(spec)?).await?;
    let before = agreement::check(&bus).await?;
    let (node, address) = whereabouts(&bus, &before).await?;
    let watched = Watch::start(&bus);
    let answered = |answer, from| {
        let seen = watched.seen();
        let first = seen.first(&before, answer, from);
        first.with_context(|| format!("{before} has not answered {answer:?}: {seen}"))
    };
    wait::until("the primary takes writes", READY, || async {
        answered(Answer::Leads, 0)
    })
    .await?;

    let isolated = Rules::isolated(&node, &address)?;
    let cut = history::now();
    let fenced = wait::until("it refuses writes", FAILOVER, || async {
        answered(Answer::NoReplicas, cut)
    })
    .await?;
    let (after, took_over) = wait::until("another takes writes", FAILOVER, || async {
        let seen = watched.seen();
        let other = seen.other(&before).map(|(pod, at)| (pod.to_owned(), at));
        other.with_context(|| format!("no other has taken a write: {seen}"))
    })
    .await?;
    wait::throughout("it refuses writes", AFTERWARDS, || async {
        took_none_after(&watched.seen(), &before, fenced)
    })
    .await?;
    drop(isolated);
    bus.await_ready(READY).await?;
    ensure!(
        agreement::check(&bus).await? == after,
        "the primary moved again"
    );
    let seen = watched.seen();
    took_none_after(&seen, &before, fenced)?;
    watch::never_two(&seen)?;
    let since = |at: Micros| Duration::from_micros(at.saturating_sub(cut));
    let (fenced, took_over) = (since(fenced), since(took_over));
    lab.note(format_args!(
        "{before} refused writes {:.1} s after the cut, {after} took them {:.1} s after it; {seen}",
        fenced.as_secs_f64(),
        took_over.as_secs_f64(),
    ));
    ensure!(fenced <= WINDOW + LOOKS, "fenced after {fenced:?}");
    Ok(())
}

/// Fails where a pod took a write after this time.
fn took_none_after(seen: &Seen, pod: &str, time: Micros) -> anyhow::Result<()> {
    let again = seen.first(pod, Answer::Leads, time);
    ensure!(again.is_none(), "{pod} took writes again: {seen}");
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
