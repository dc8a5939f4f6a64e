//! The volume of a data pod that begins with a backup.

use crate::atomic_file;
use crate::error::AgentError;
use crate::volume::{SNAPSHOT_FILE, Volume};
use cachebus_core::protocol::Marker;
use std::fs;
use std::path::Path;

/// What the volume of a data pod holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeHolds {
    /// No files of a server.
    Nothing,
    /// Data of this bus.
    ThisBus,
    /// Anything else: data, or files of which nobody says whether they are.
    Other,
}

/// Looks at the volume in `folder`, for the bus with this UID.
///
/// # Errors
/// It cannot be read.
pub fn holds(folder: &Path, uid: &str) -> Result<VolumeHolds, AgentError> {
    let volume = Volume::open(folder)?;
    let own = volume.marker().is_some_and(|marker| marker.uid == uid);
    Ok(if own && volume.has_dataset() {
        VolumeHolds::ThisBus
    } else if volume.has_files() {
        VolumeHolds::Other
    } else {
        VolumeHolds::Nothing
    })
}

/// Makes `snapshot`, a file in `folder`, the dataset that the data pod of a new bus begins with. The marker comes first: an attempt
/// that is cut off between the two leaves a volume without files, and is made again.
///
/// # Errors
/// It cannot be written.
pub async fn begin_restored(
    folder: &Path,
    uid: &str,
    pod: &str,
    snapshot: &Path,
) -> Result<(), AgentError> {
    let marker = Marker {
        uid: uid.to_owned(),
        primary: pod.to_owned(),
        epoch: 1,
        complete: true,
        aof: Some(false),
        fence: 0,
    };
    Volume::open(folder)?.mark(marker).await?;
    let target = folder.join(SNAPSHOT_FILE);
    fs::rename(snapshot, &target).map_err(AgentError::file("renaming", snapshot))?;
    atomic_file::sync_folder(&target).map_err(AgentError::file("syncing", folder))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_restored_volume_is_the_bus_s_own_and_another_s_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(holds(path, "u").unwrap(), VolumeHolds::Nothing);
        let arriving = path.join("arriving");
        fs::write(&arriving, "REDIS0011").unwrap();
        assert_eq!(holds(path, "u").unwrap(), VolumeHolds::Nothing);
        begin_restored(path, "u", "b-redis-0", &arriving)
            .await
            .unwrap();
        assert_eq!(holds(path, "u").unwrap(), VolumeHolds::ThisBus);
        assert_eq!(holds(path, "other").unwrap(), VolumeHolds::Other);
        let volume = Volume::open(path).unwrap();
        assert_eq!(
            (volume.has_dataset(), volume.is_in_aof()),
            (true, Some(false))
        );
        assert!(!arriving.exists());
    }

    #[tokio::test]
    async fn an_attempt_that_was_cut_off_after_the_marker_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let arriving = folder.path().join("arriving");
        let restored = begin_restored(folder.path(), "u", "b-redis-0", &arriving).await;
        restored.unwrap_err();
        assert_eq!(holds(folder.path(), "u").unwrap(), VolumeHolds::Nothing);
    }

    #[tokio::test]
    async fn files_that_a_server_made_on_an_empty_volume_are_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        Volume::open(folder.path())
            .unwrap()
            .before_start()
            .await
            .unwrap();
        assert_eq!(holds(folder.path(), "u").unwrap(), VolumeHolds::Nothing);
        fs::write(folder.path().join(SNAPSHOT_FILE), "REDIS0011").unwrap();
        assert_eq!(holds(folder.path(), "u").unwrap(), VolumeHolds::Other);
    }

    #[tokio::test]
    async fn files_of_the_other_kind_than_the_marker_names_are_data_too() {
        let folder = tempfile::tempdir().unwrap();
        let arriving = folder.path().join("arriving");
        let _ = begin_restored(folder.path(), "u", "b-redis-0", &arriving).await;
        fs::create_dir(folder.path().join("appendonlydir")).unwrap();
        fs::write(folder.path().join("appendonlydir/manifest"), "x").unwrap();
        assert_eq!(holds(folder.path(), "u").unwrap(), VolumeHolds::Other);
    }
}
