//! A file that a person edits while it is in use.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What tells one version of a file from another, without reading it: inode, size, time of the last change.
type Stamp = (u64, u64, i64, i64);

/// Tells when a file has changed. It is looked at, since editors put another file in its place, and file systems of containers and
/// virtual machines tell of no change.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    known: Option<Stamp>,
    /// What it was at the last look, and was not before.
    settling: Option<Stamp>,
}

impl Watch {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            known: stamp(path),
            settling: None,
        }
    }

    /// Whether there is another version that was the same at the last look: one that is still being written is none.
    pub(crate) fn has_changed(&mut self) -> bool {
        let seen = stamp(&self.path);
        if seen.is_none() || seen == self.known {
            self.settling = None;
            return false;
        }
        if seen != self.settling {
            self.settling = seen;
            return false;
        }
        self.known = seen;
        self.settling = None;
        true
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_change_is_told_once_and_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus.yaml");
        fs::write(&path, "1").unwrap();
        let mut watch = Watch::new(&path);
        assert!(!watch.has_changed());
        fs::write(&path, "12").unwrap();
        assert!(!watch.has_changed());
        fs::write(&path, "123").unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
        assert!(!watch.has_changed());
        fs::remove_file(&path).unwrap();
        assert!(!watch.has_changed());
        assert!(!watch.has_changed());
        fs::write(&path, "1234").unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
    }
}
