//! Putting a backup onto the volume of a data pod that is yet to start. What is on it already stays.

use crate::error::BackupError;
use crate::fetch::{fetch, find};
use crate::layout::Layout;
use crate::storage::Storage;
use cachebus_agent::{VolumeHolds, begin_restored, holds};
use cachebus_core::backup::{Manifest, Restoration, RestoreTask};

/// What is fetched, until it is known to be whole.
const ARRIVING: &str = "restoring.rdb";

pub(crate) async fn restore(
    task: &RestoreTask,
    layout: &Layout,
) -> Result<Restoration, BackupError> {
    let storage = Storage::open(&task.destination, layout)?;
    let manifest = find(&storage, &task.path).await?;
    match holds(&layout.data_dir, &task.uid)? {
        VolumeHolds::ThisBus => {
            tracing::info!("the backup is on the volume already");
            return Ok(done(&manifest));
        }
        VolumeHolds::Other => return Err(BackupError::VolumeHoldsData(task.pod.clone())),
        VolumeHolds::Nothing => {}
    }
    let arriving = layout.data_dir.join(ARRIVING);
    fetch(&storage, &task.path, &manifest, layout, &arriving).await?;
    begin_restored(&layout.data_dir, &task.uid, &task.pod, &arriving).await?;
    tracing::info!(keys = manifest.keys, "the backup is on the volume");
    Ok(done(&manifest))
}

fn done(manifest: &Manifest) -> Restoration {
    Restoration {
        keys: manifest.keys,
        taken_at_s: manifest.taken_at_s,
    }
}
