//! Moving files aside, as long as there is room for those that come in their place.

use super::{AOF_FOLDER, SNAPSHOT_FILE};
use nix::sys::statvfs::statvfs;
use std::fs;
use std::io;
use std::path::Path;

/// What comes in the place of files takes as much as they, and as much again while it is written anew.
const ROOM: u64 = 2;

/// Moves the files of a server into this folder beside them, in place of what lies there. Returns whether they are kept.
pub(super) fn move_aside(folder: &Path, name: &str) -> io::Result<bool> {
    let aside = folder.join(name);
    remove(&aside)?;
    fs::create_dir(&aside)?;
    for file in [AOF_FOLDER, SNAPSHOT_FILE] {
        match fs::rename(folder.join(file), aside.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::File::open(&aside)?.sync_all()?;
    fs::File::open(folder)?.sync_all()?;
    let keeps = fits(size(&aside)?, free(folder)?);
    if !keeps {
        remove(&aside)?;
    }
    Ok(keeps)
}

/// Whether files of this size may stay where so much is free.
fn fits(size: u64, free: u64) -> bool {
    size.saturating_mul(ROOM) <= free
}

fn free(folder: &Path) -> io::Result<u64> {
    let volume = statvfs(folder)?;
    Ok(volume.blocks_available() * volume.fragment_size())
}

fn size(path: &Path) -> io::Result<u64> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Ok(found.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_stay_where_twice_their_size_is_free() {
        assert!(fits(0, 0));
        assert!(fits(5, 10));
        assert!(!fits(6, 11));
        assert!(!fits(u64::MAX, u64::MAX - 1));
    }

    #[test]
    fn the_size_of_a_folder_is_that_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/one"), "12345").unwrap();
        fs::write(folder.path().join("two"), "123").unwrap();
        assert_eq!(size(folder.path()).unwrap(), 8);
        assert!(free(folder.path()).unwrap() > 0);
    }
}
