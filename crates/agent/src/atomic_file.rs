//! Files that are there whole or not at all, also after a power cut.

use crate::error::AgentError;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
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
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::IsADirectory.into());
    };
    // Each file has one of its own beside it, always of the same name: what an attempt leaves that was cut off goes at the next.
    let mut beside = name.to_owned();
    beside.push(".new");
    match fs::remove_file(folder.join(&beside)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = tempfile::Builder::new()
        .prefix(&beside)
        .rand_bytes(0)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
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
        fs::write(folder.path().join("redis.conf.new"), "cut off").unwrap();
        // Another file's, at that moment.
        let other = folder.path().join("redis.acl.new");
        fs::write(&other, "under way").unwrap();

        replace(&path, "new", 0o600).await.unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_to_string(&other).unwrap(), "under way");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn nothing_is_left_of_what_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        replace(&path, "new", 0o600).await.unwrap_err();
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
