//! Deleting backups that have outlived themselves, and what attempts have left behind that came to nothing.

use crate::error::BackupError;
use crate::storage::{Storage, manifest_of};
use cachebus_core::backup::{BackupTask, Kept, MANIFEST_FILE, outlived, series};
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use std::collections::BTreeMap;
use std::fs;
use std::io;

/// Age, in seconds, at which data without a manifest is none that is still being written: no backup may take as long.
const ABANDONED_S: u64 = 24 * 3_600;
/// Most backups that are deleted at once, so that their names fit into what a pod may say.
const AT_ONCE: usize = 32;

/// Deletes what the retention of a new backup's task says, and returns the names.
pub(crate) async fn prune(
    storage: &Storage,
    task: &BackupTask,
    now_s: u64,
) -> Result<Vec<String>, BackupError> {
    let Some(retention) = &task.retention else {
        return Ok(Vec::new());
    };
    let series = series(&task.namespace, &task.bus);
    let folders = folders(storage, &series).await?;
    let mut kept = Vec::new();
    for (name, objects) in &folders {
        let folder = format!("{series}/{name}");
        match storage.manifest(&folder).await? {
            Some(manifest) => kept.push(Kept {
                backup: name.clone(),
                scheduled: manifest.scheduled,
                taken_at_s: manifest.taken_at_s,
            }),
            None if objects.iter().all(|object| is_abandoned(object, now_s)) => {
                delete(storage, &folder, objects).await?;
            }
            None => {}
        }
    }
    let mut old = outlived(&kept, retention, now_s);
    old.truncate(AT_ONCE);
    for name in &old {
        let objects = folders.get(name).map_or(&[][..], Vec::as_slice);
        delete(storage, &format!("{series}/{name}"), objects).await?;
    }
    Ok(old)
}

/// What is stored of a bus's backups, by backup.
async fn folders(
    storage: &Storage,
    series: &str,
) -> Result<BTreeMap<String, Vec<ObjectMeta>>, BackupError> {
    let series = Path::from(series);
    let objects: Vec<ObjectMeta> = storage
        .store
        .list(Some(&series))
        .try_collect()
        .await
        .map_err(BackupError::storage("listing the backups"))?;
    let mut folders = BTreeMap::<String, Vec<ObjectMeta>>::new();
    for object in objects {
        let name = object
            .location
            .prefix_match(&series)
            .and_then(|mut parts| parts.next())
            .map(|part| part.as_ref().to_owned());
        if let Some(name) = name {
            folders.entry(name).or_default().push(object);
        }
    }
    Ok(folders)
}

fn is_abandoned(object: &ObjectMeta, now_s: u64) -> bool {
    let since = u64::try_from(object.last_modified.timestamp()).unwrap_or_default();
    now_s.saturating_sub(since) > ABANDONED_S
}

/// Deletes a backup, its manifest first: what is left when that is interrupted is none.
async fn delete(
    storage: &Storage,
    folder: &str,
    objects: &[ObjectMeta],
) -> Result<(), BackupError> {
    let action = "deleting an older backup";
    match storage.store.delete(&manifest_of(folder)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => return Err(BackupError::storage(action)(error)),
    }
    for object in objects {
        if object.location.filename() == Some(MANIFEST_FILE) {
            continue;
        }
        match storage.store.delete(&object.location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(BackupError::storage(action)(error)),
        }
    }
    if let Some(root) = &storage.folder {
        let path = root.join(folder);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BackupError::file("removing", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
