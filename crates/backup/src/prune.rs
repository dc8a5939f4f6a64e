//! Deleting backups that have outlived themselves, and what attempts have left behind that came to nothing.

use crate::error::BackupError;
use crate::layout::Layout;
use crate::storage::{Storage, manifest_of};
use crate::take::now_s;
use cachebus_core::backup::{Kept, MANIFEST_FILE, PruneTask, Pruned, outlived, series};
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::UNIX_EPOCH;

/// Age, in seconds, at which data without a manifest is none that is still being written: no backup may take as long.
const ABANDONED_S: u64 = 24 * 3_600;
/// Most backups that are deleted at once, so that their names fit into what a pod may say.
const AT_ONCE: usize = 32;

/// Deletes what the retention says. What cannot be deleted is told: the new backup is none the worse for it.
pub(crate) async fn prune(task: &PruneTask, layout: &Layout) -> Pruned {
    let mut pruned = Pruned::default();
    if let Err(error) = look_through(task, layout, &mut pruned.deleted).await {
        tracing::warn!(%error, "older backups are not deleted");
        pruned.failure = Some(error.reason().to_owned());
    }
    pruned
}

async fn look_through(
    task: &PruneTask,
    layout: &Layout,
    deleted: &mut Vec<String>,
) -> Result<(), BackupError> {
    let storage = Storage::open(&task.destination, layout)?;
    let series = series(&task.namespace, &task.bus);
    let folders = folders(&storage, &series).await?;
    let now_s = now_s();
    let mut kept = Vec::new();
    let mut unreadable = None;
    for (name, objects) in &folders {
        let folder = format!("{series}/{name}");
        match storage.manifest(&folder).await {
            Ok(Some(manifest)) if manifest.uid == task.uid => kept.push(Kept {
                backup: name.clone(),
                scheduled: manifest.scheduled,
                taken_at_s: manifest.taken_at_s,
            }),
            // An earlier bus's of this name, or one's in another cluster. Nobody can tell what they are worth.
            Ok(Some(_)) => {}
            Ok(None) => {
                let written = objects.iter().any(|object| !is_old(object, now_s));
                if !written && is_idle(&storage, &folder, now_s)? {
                    delete(&storage, &folder, objects).await?;
                }
            }
            // Whatever it is stays, and keeps no other from going.
            Err(error @ BackupError::Damaged { .. }) => unreadable = Some(error),
            Err(error) => return Err(error),
        }
    }
    let mut old = outlived(&kept, &task.retention, now_s);
    old.truncate(AT_ONCE);
    for name in old {
        let objects = folders.get(&name).map_or(&[][..], Vec::as_slice);
        delete(&storage, &format!("{series}/{name}"), objects).await?;
        deleted.push(name);
    }
    unreadable.map_or(Ok(()), Err)
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
    // Of a volume, files that are not whole yet are not listed.
    if let Some(root) = &storage.folder {
        let path = root.join(series.as_ref());
        let failed = |error| BackupError::file("listing", &path)(error);
        for entry in read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                let name = entry.file_name().to_string_lossy().into_owned();
                folders.entry(name).or_default();
            }
        }
    }
    Ok(folders)
}

fn is_old(object: &ObjectMeta, now_s: u64) -> bool {
    let since = u64::try_from(object.last_modified.timestamp()).unwrap_or_default();
    now_s.saturating_sub(since) > ABANDONED_S
}

/// Whether nothing is written to a folder any more. Of a bucket, what is not whole yet is no object and is no business of ours.
fn is_idle(storage: &Storage, folder: &str, now_s: u64) -> Result<bool, BackupError> {
    let Some(root) = &storage.folder else {
        return Ok(true);
    };
    let path = root.join(folder);
    let failed = |error| BackupError::file("looking through", &path)(error);
    for entry in read_dir(&path).map_err(failed)? {
        let modified = entry.and_then(|entry| entry.metadata()?.modified());
        let since = modified.map_err(failed)?.duration_since(UNIX_EPOCH);
        let since = since.map_or(0, |since| since.as_secs());
        if now_s.saturating_sub(since) <= ABANDONED_S {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is in a folder; nothing, where there is none.
fn read_dir(path: &std::path::Path) -> io::Result<Vec<io::Result<fs::DirEntry>>> {
    match fs::read_dir(path) {
        Ok(entries) => Ok(entries.collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
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
