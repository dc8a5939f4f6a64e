//! Disks that are full or slow, and files that are damaged.

use std::time::Duration;

use cachebus_api::CacheBus;

use crate::chaos::{Fault, Loses, Scene, Whose, held, small_disk};
use crate::machine::docker;
use crate::process::Suspended;
use crate::wait;

/// How long a disk is full.
const FULL_FOR: Duration = Duration::from_secs(20);

/// How long a disk is slow.
const SLOW: Duration = Duration::from_secs(20);

/// How slow.
const BYTES_A_SECOND: u32 = 32 << 10;

/// Takes what room there is.
const FILL: &str = "dd if=/dev/zero of=\"$1/e2e-fill\" bs=4k 2>/dev/null || true; sync -f \"$1\"";

/// Gives it back.
const EMPTY: &str = "rm -f \"$1/e2e-fill\"";

/// The last command is there in half.
const TEAR: &str =
    "file=$(ls -t \"$1\"/appendonlydir/*.incr.aof | head -n 1); truncate -s -7 \"$file\"";

/// The last bytes are no command.
const SPOIL_TAIL: &str =
    "file=$(ls -t \"$1\"/appendonlydir/*.incr.aof | head -n 1); printf 'spoilt' >> \"$file\"";

/// Bytes in the midst of the snapshot that the append-only file begins with are others.
const SPOIL_SNAPSHOT: &str = "file=$(ls -t \"$1\"/appendonlydir/*.base.rdb | head -n 1); \
     printf 'spoilt-spoilt-spoilt' | dd of=\"$file\" bs=1 seek=24 conv=notrunc 2>/dev/null";

/// Of the condition that names pods with files that were set aside.
const FILES_SET_ASIDE: &str = "FilesSetAside";

/// Time for the operator to see that a folder is gone.
const SEEN: Duration = Duration::from_mins(1);

pub const ALL: &[Fault] = &[
    Fault::new(
        "full-disk-replica",
        "the volume of a replica is full for 20 s",
        |scene| Box::pin(full(scene)),
    )
    .loses(Loses::Nothing)
    .on_small_disk(Whose::Replica),
    Fault::new(
        "full-disk-primary",
        "the volume of the primary is full for 20 s",
        |scene| Box::pin(full(scene)),
    )
    .on_small_disk(Whose::Primary),
    Fault::new(
        "slow-disk-primary",
        "the volume of the primary takes 32 KiB a second for 20 s",
        |scene| Box::pin(slow(scene)),
    )
    .on_small_disk(Whose::Primary),
    Fault::new(
        "torn-aof",
        "the primary's server dies in the midst of a write to its append-only file",
        |scene| Box::pin(async { damage(scene, &scene.primary, TEAR).await }),
    ),
    Fault::new(
        "spoilt-aof-tail",
        "a replica's server dies, and what its append-only file ends with is no command",
        |scene| Box::pin(async { damage(scene, &scene.replica()?, SPOIL_TAIL).await }),
    )
    .loses(Loses::Nothing)
    .tells(&[FILES_SET_ASIDE]),
    Fault::new(
        "spoilt-snapshot",
        "a replica's server dies, and the snapshot in its files is damaged",
        |scene| Box::pin(async { damage(scene, &scene.replica()?, SPOIL_SNAPSHOT).await }),
    )
    .loses(Loses::Nothing)
    .tells(&[FILES_SET_ASIDE]),
];

/// Runs a script on the node of a pod, with the folder of the pod's volume.
async fn on_volume(scene: &Scene, pod: &str, script: &str) -> anyhow::Result<()> {
    let volume = small_disk::volume(&scene.bus, pod).await?;
    let run = [
        "exec",
        &volume.node,
        "sh",
        "-euc",
        script,
        "sh",
        &volume.folder,
    ];
    docker(&run, "")?;
    Ok(())
}

async fn full(scene: &Scene) -> anyhow::Result<()> {
    let pod = &scene.small_disk()?.pod;
    on_volume(scene, pod, FILL).await?;
    tokio::time::sleep(FULL_FOR).await;
    on_volume(scene, pod, EMPTY).await
}

async fn slow(scene: &Scene) -> anyhow::Result<()> {
    let disk = scene.small_disk()?;
    let server = scene.server(&disk.pod).await?;
    let _slow = held::SlowDisk::begin(&server, &disk.device, BYTES_A_SECOND)?;
    tokio::time::sleep(SLOW).await;
    Ok(())
}

/// Kills a server that has stopped writing, when its files are damaged. What was set aside of it before is removed, as a person would.
async fn damage(scene: &Scene, pod: &str, script: &str) -> anyhow::Result<()> {
    on_volume(scene, pod, "rm -rf \"$1\"/spoilt").await?;
    let readable = |bus: Option<&CacheBus>| {
        let status = bus.and_then(|bus| bus.status.as_ref());
        let mut conditions = status.iter().flat_map(|status| &status.conditions);
        conditions.all(|condition| condition.reason != FILES_SET_ASIDE)
    };
    let name = scene.bus.names.bus();
    wait::object(
        &scene.bus.api(),
        name,
        "nothing is set aside",
        SEEN,
        readable,
    )
    .await?;
    let server = scene.server(pod).await?;
    let _stopped = Suspended::all(vec![scene.server(pod).await?])?;
    on_volume(scene, pod, script).await?;
    server.kill()
}
