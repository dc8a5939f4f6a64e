//! A binding Secret as kubelet mounts it.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use cachebus::{CacheBus, Source};
use tempfile::TempDir;

use crate::bus::patient;

pub(crate) struct Mounted {
    folder: TempDir,
    version: Cell<u32>,
}

impl Mounted {
    pub(crate) fn new(entries: &[(&str, &str)]) -> Self {
        let mounted = Self {
            folder: tempfile::tempdir().unwrap(),
            version: Cell::new(0),
        };
        mounted.swap(entries);
        for (name, _) in entries {
            let target = Path::new("..data").join(name);
            symlink(target, mounted.folder.path().join(name)).unwrap();
        }
        mounted
    }

    /// All entries at once: a new folder, a new link in the place of the old one, and the old folder is gone.
    pub(crate) fn swap(&self, entries: &[(&str, &str)]) {
        let path = self.folder.path();
        let (old, new) = (self.version.get(), self.version.get() + 1);
        self.version.set(new);
        let version = |number| format!("..version_{number}");
        fs::create_dir(path.join(version(new))).unwrap();
        for (name, text) in entries {
            fs::write(path.join(version(new)).join(name), text).unwrap();
        }
        symlink(version(new), path.join("..data_tmp")).unwrap();
        fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
        if old > 0 {
            fs::remove_dir_all(path.join(version(old))).unwrap();
        }
    }

    pub(crate) fn client(&self) -> CacheBus {
        patient(Source::folder(self.folder.path()))
    }
}
