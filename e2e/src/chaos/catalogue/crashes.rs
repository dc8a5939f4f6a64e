//! Servers that die.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::chaos::{Fault, Loses, Scene};
use crate::process::Suspended;
use crate::wait;

/// Between two crashes of a row.
const BETWEEN: Duration = Duration::from_secs(5);

/// How long a server hangs: longer than Sentinels wait.
const HUNG: Duration = Duration::from_secs(12);

/// Time for a server to begin what it is to be killed in.
const BEGUN: Duration = Duration::from_mins(1);

/// Keys that make a snapshot last.
const KEYS: &str = "3000";

/// Puts them there.
const FILL: &str =
    "for i = 1, tonumber(ARGV[1]) do redis.call('SET', 'chaos:' .. i, i, 'EX', 300) end";

pub const ALL: &[Fault] = &[
    Fault::new("crash", "the primary's server gets SIGKILL", |scene| {
        Box::pin(async { scene.crash(&scene.primary).await })
    }),
    Fault::new(
        "crash-5",
        "whichever server leads gets SIGKILL, five times, 5 s apart",
        |scene| Box::pin(five(scene)),
    ),
    Fault::new(
        "crash-replica",
        "a replica's server gets SIGKILL",
        |scene| Box::pin(async { scene.crash(&scene.replica()?).await }),
    )
    .loses(Loses::Nothing),
    Fault::new(
        "crash-two",
        "the primary's server and a replica's get SIGKILL at once",
        |scene| Box::pin(two(scene)),
    ),
    Fault::new(
        "crash-in-full-sync",
        "the primary's server gets SIGKILL while a replica with an empty volume is sent everything",
        |scene| Box::pin(in_full_sync(scene)),
    ),
    Fault::new(
        "crash-in-aof-rewrite",
        "the primary's server gets SIGKILL while it rewrites its append-only file",
        |scene| Box::pin(in_child(scene, "BGREWRITEAOF", "aof_rewrite_in_progress")),
    ),
    Fault::new(
        "crash-in-snapshot",
        "the primary's server gets SIGKILL while it writes a snapshot",
        |scene| Box::pin(in_child(scene, "BGSAVE", "rdb_bgsave_in_progress")),
    ),
    Fault::new(
        "hang",
        "the primary's server gets SIGSTOP for 12 s",
        |scene| Box::pin(hang(scene)),
    ),
];

async fn five(scene: &Scene) -> anyhow::Result<()> {
    for _ in 0..5 {
        let leads = scene.bus.primary().await?;
        scene.crash(&leads).await?;
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}

async fn two(scene: &Scene) -> anyhow::Result<()> {
    let replica = scene.server(&scene.replica()?).await?;
    let primary = scene.server(&scene.primary).await?;
    replica.kill()?;
    primary.kill()
}

async fn in_full_sync(scene: &Scene) -> anyhow::Result<()> {
    slow_snapshots(scene).await?;
    let replica = scene.replica()?;
    scene.bus.drop_volume(&replica).await?;
    scene.bus.pods().kill_one(&replica).await?;
    crash_when(scene, "rdb_bgsave_in_progress").await
}

async fn in_child(scene: &Scene, begin: &str, running: &str) -> anyhow::Result<()> {
    slow_snapshots(scene).await?;
    scene.typed::<()>(&scene.primary, &[begin]).await?;
    crash_when(scene, running).await
}

/// Has the primary take its time for each key of a snapshot. The setting dies with the server.
async fn slow_snapshots(scene: &Scene) -> anyhow::Result<()> {
    let fill = ["EVAL", FILL, "0", KEYS];
    scene.typed::<()>(&scene.primary, &fill).await?;
    let slow = ["CONFIG", "SET", "rdb-key-save-delay", "2000"];
    scene.typed(&scene.primary, &slow).await
}

async fn crash_when(scene: &Scene, running: &str) -> anyhow::Result<()> {
    let place = scene.place(&scene.primary)?;
    wait::until(running, BEGUN, || async {
        let root = scene.bus.root(place.clone()).await?;
        let now = root.info("persistence").await?.remove(running);
        ensure!(now.context("INFO does not tell")? == "1", "not begun");
        Ok(())
    })
    .await?;
    scene.crash(&scene.primary).await
}

/// The primary's server stands still for 12 s.
pub(super) async fn hang(scene: &Scene) -> anyhow::Result<()> {
    let server = scene.server(&scene.primary).await?;
    let _hung = Suspended::all(vec![server])?;
    tokio::time::sleep(HUNG).await;
    Ok(())
}
