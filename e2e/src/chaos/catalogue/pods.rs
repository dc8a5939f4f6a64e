//! Pods and nodes that go, and leads that are handed over for it.

use std::time::Duration;

use anyhow::ensure;
use cachebus_core::names::Component;

use crate::chaos::{Fault, Loses, Scene};
use crate::faults::{self, Fault as Happening};
use crate::wait;

/// Time for a pod that was evicted to be gone, and for one that was deleted to be there again.
const LIMIT: Duration = Duration::from_mins(2);

/// Deletions of a pod in a loop.
const LOOP: usize = 4;

pub const ALL: &[Fault] = &[
    Fault::new(
        "switchover",
        "a person asks for another primary by annotation",
        |scene| Box::pin(happen(scene, Happening::Switchover)),
    )
    .loses(Loses::Nothing)
    .tells(&["SwitchedOver"]),
    Fault::new(
        "pod-stopped",
        "the primary's pod is deleted",
        |scene| Box::pin(happen(scene, Happening::Sigterm)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "pod-killed",
        "the primary's pod is deleted by force",
        |scene| Box::pin(happen(scene, Happening::ForceDelete)),
    ),
    Fault::new(
        "pod-loop",
        "a replica's pod is deleted by force four times, each time as soon as it is there",
        |scene| Box::pin(in_a_loop(scene)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "all-killed",
        "every data pod is deleted by force at once",
        |scene| Box::pin(all_killed(scene)),
    ),
    Fault::new(
        "drain",
        "the primary's node is drained, and made schedulable again once the bus's pods are gone",
        |scene| Box::pin(drain(scene)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "node-paused",
        "the primary's node stands still for 40 s, its Sentinel with it",
        |scene| Box::pin(happen(scene, Happening::Pause)),
    )
    .takes_the_node(),
    Fault::new(
        "node-cut-off",
        "the primary's node reaches no other node and none reaches it for 40 s, its Sentinel with it",
        |scene| Box::pin(happen(scene, Happening::CutOff)),
    )
    .takes_the_node(),
    Fault::new(
        "empty-primary",
        "the primary's pod is deleted by force, and its volume with it",
        |scene| Box::pin(async { scene.replace(&scene.primary, true).await }),
    ),
    Fault::new(
        "empty-replica",
        "a replica's pod is deleted by force, and its volume with it",
        |scene| Box::pin(async { scene.replace(&scene.replica()?, true).await }),
    )
    .loses(Loses::Nothing),
];

async fn happen(scene: &Scene, what: Happening) -> anyhow::Result<()> {
    what.befall(&scene.bus, &scene.primary).await
}

async fn in_a_loop(scene: &Scene) -> anyhow::Result<()> {
    let replica = scene.replica()?;
    let pods = scene.bus.pods();
    for _ in 0..LOOP {
        let uid = wait::until("the pod is there", LIMIT, || {
            faults::uid(&scene.bus, &replica)
        })
        .await?;
        pods.kill_one(&replica).await?;
        wait::until("it is another pod", LIMIT, || async {
            let now = faults::uid(&scene.bus, &replica).await?;
            ensure!(now != uid, "it is the same");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn all_killed(scene: &Scene) -> anyhow::Result<()> {
    let pods = scene.bus.pods_of(Component::Redis);
    let before = pods.uids().await?;
    pods.kill().await?;
    pods.await_replaced(&before, LIMIT).await
}

async fn drain(scene: &Scene) -> anyhow::Result<()> {
    Happening::Drain.befall(&scene.bus, &scene.primary).await
}
