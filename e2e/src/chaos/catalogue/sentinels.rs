//! Sentinels that are away.

use std::time::Duration;

use cachebus_core::names::Component;

use crate::chaos::{Fault, Loses, Scene};
use crate::process::Suspended;

/// How long Sentinels hang.
const HUNG: Duration = Duration::from_secs(20);

/// Until a server dies meanwhile.
const ALREADY: Duration = Duration::from_secs(7);

/// Time for Sentinels to be there again.
const BACK: Duration = Duration::from_mins(2);

pub const ALL: &[Fault] = &[
    Fault::new(
        "sentinel-away",
        "a Sentinel gets SIGSTOP for 20 s",
        |scene| Box::pin(away(scene, 1, false)),
    )
    .loses(Loses::Nothing)
    .lasts(),
    Fault::new(
        "sentinel-away-and-crash",
        "a Sentinel gets SIGSTOP for 20 s, and after 7 s of it the primary's server SIGKILL",
        |scene| Box::pin(away(scene, 1, true)),
    ),
    Fault::new(
        "two-sentinels-away",
        "two of three Sentinels get SIGSTOP for 20 s",
        |scene| Box::pin(away(scene, 2, false)),
    )
    .loses(Loses::Nothing)
    .tells(&[
        "TooFewSentinels",
        "SentinelDisagrees",
        "SentinelUnacquainted",
    ]),
    Fault::new(
        "two-sentinels-away-and-crash",
        "two of three Sentinels get SIGSTOP for 20 s, and after 7 s of it the primary's server SIGKILL",
        |scene| Box::pin(away(scene, 2, true)),
    ),
    Fault::new(
        "sentinels-restarted",
        "every Sentinel's pod is deleted by force at once",
        |scene| Box::pin(restarted(scene)),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "sentinel-emptied",
        "a Sentinel's pod is deleted by force, and its volume with it",
        |scene| Box::pin(async { scene.replace(&scene.sentinels()[0], true).await }),
    )
    .loses(Loses::Nothing),
];

async fn away(scene: &Scene, how_many: usize, crash: bool) -> anyhow::Result<()> {
    let mut processes = Vec::new();
    for pod in scene.sentinels().iter().take(how_many) {
        processes.push(scene.server(pod).await?);
    }
    let hung = Suspended::all(processes)?;
    tokio::time::sleep(ALREADY).await;
    if crash {
        scene.crash(&scene.primary).await?;
    }
    tokio::time::sleep(HUNG.saturating_sub(ALREADY)).await;
    drop(hung);
    Ok(())
}

async fn restarted(scene: &Scene) -> anyhow::Result<()> {
    let pods = scene.bus.pods_of(Component::Sentinel);
    let before = pods.uids().await?;
    pods.kill().await?;
    pods.await_replaced(&before, BACK).await
}
