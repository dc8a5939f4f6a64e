//! Files that are there whole or not at all, also after a power cut.

use crate::error::AgentError;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Replaces `path` by `content` with these permissions: a synced file beside it takes its name. Syncing may take long on a
/// busy volume, so it is done away from the thread that answers probes.
pub(crate) async fn replace(
    path: &Path,
    content: impl Into<Vec<u8>>,
    mode: u32,
) -> Result<(), AgentError> {
    let (target, content) = (path.to_owned(), content.into());
    tokio::task::spawn_blocking(move || write(&target, &content, mode))
        .await
        .unwrap_or_else(|cancelled| Err(io::Error::other(cancelled)))
        .map_err(AgentError::file("writing", path))
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&beside)?;
    // A file left by an attempt that was cut off keeps its own permissions when it is opened again.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(path)
}

/// A rename is durable once its folder is.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn content_and_permissions_are_replaced_and_nothing_is_left_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("redis.conf");
        fs::write(&path, "old").unwrap();
        fs::write(path.with_extension("new"), "cut off").unwrap();

        replace(&path, "new", 0o600).await.unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let error = replace(Path::new("/nowhere/at/all"), "", 0o600)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
