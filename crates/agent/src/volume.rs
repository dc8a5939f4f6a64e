//! The file beside the data that says whose it is, and whether there is data at all.

mod spoilt;

use crate::atomic_file;
use crate::error::AgentError;
use cachebus_core::names::MARKER_FILE;
use cachebus_core::protocol::Marker;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Exists from the first start of a server on a volume without a dataset until its files are of a whole copy. The files that
/// such a server makes before are no dataset: without this, an emptied volume would pass for an honest, empty copy after a
/// second start.
const BLANK_FILE: &str = "cachebus.blank";

/// What an append-only file consists of, by the name that the configuration gives it.
const AOF_FOLDER: &str = "appendonlydir";
/// The snapshot.
pub(crate) const SNAPSHOT_FILE: &str = "dump.rdb";

/// Where files lie that a server could not read: those of the last time.
const SPOILT_FOLDER: &str = "spoilt";

/// What became of files that were set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// They are in this folder.
    Yes(PathBuf),
    /// They are gone: what comes in their place would not have had the room.
    NoRoom,
}

/// The marker and the dataset of a data volume.
#[derive(Debug)]
pub(crate) struct Volume {
    folder: PathBuf,
    marker: Option<Marker>,
    blank: bool,
}

impl Volume {
    /// Reads what lies in `folder`. A marker that does not parse counts as none: the volume is then like one that came from elsewhere.
    pub(crate) fn open(folder: &Path) -> Result<Self, AgentError> {
        let path = folder.join(MARKER_FILE);
        let marker = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .inspect_err(|error| {
                    tracing::warn!(path = %path.display(), %error, "the marker does not parse");
                })
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(AgentError::file("reading", path)(error)),
        };
        Ok(Self {
            blank: folder.join(BLANK_FILE).exists(),
            folder: folder.to_owned(),
            marker,
        })
    }

    pub(crate) fn marker(&self) -> Option<&Marker> {
        self.marker.as_ref()
    }

    /// Whether there are data files, made by a server that had data.
    pub(crate) fn has_dataset(&self) -> bool {
        !self.blank && self.is_in_aof().is_some()
    }

    /// Whether the files that there are, if they are a dataset or not, are an append-only file, else a snapshot: what the last
    /// server kept or, if that was not noted, what there is. A server that is started for the other one would begin empty,
    /// beside them.
    pub(crate) fn is_in_aof(&self) -> Option<bool> {
        let noted = self.marker.as_ref().and_then(|marker| marker.aof);
        let [aof, snapshot] = [AOF_FOLDER, SNAPSHOT_FILE].map(|name| self.has(name));
        match noted {
            Some(true) => aof.then_some(true),
            Some(false) => snapshot.then_some(false),
            None => aof.then_some(true).or(snapshot.then_some(false)),
        }
    }

    /// Whether there are files of a server, of whatever kind and worth.
    pub(crate) fn has_files(&self) -> bool {
        [AOF_FOLDER, SNAPSHOT_FILE]
            .into_iter()
            .any(|name| self.has(name))
    }

    fn has(&self, name: &str) -> bool {
        is_filled(&self.folder.join(name))
    }

    /// To be called before a server starts: notes whether the files it makes will stand for data.
    pub(crate) async fn before_start(&mut self) -> Result<(), AgentError> {
        if self.has_dataset() {
            return Ok(());
        }
        self.is_blank().await
    }

    /// Takes away what a server could not read, and notes before that nothing here is a copy any more, by this marker. Whatever
    /// cuts it off, it may be done again.
    pub(crate) async fn set_aside(&mut self, marker: Marker) -> Result<Kept, AgentError> {
        self.is_blank().await?;
        self.mark(marker).await?;
        let folder = self.folder.clone();
        let aside = folder.join(SPOILT_FOLDER);
        tokio::task::spawn_blocking(move || spoilt::move_aside(&folder, SPOILT_FOLDER))
            .await
            .unwrap_or_else(|cancelled| Err(io::Error::other(cancelled)))
            .map(|kept| {
                if kept {
                    Kept::Yes(aside.clone())
                } else {
                    Kept::NoRoom
                }
            })
            .map_err(AgentError::file("setting files aside in", &aside))
    }

    /// Whether files that a server could not read are kept.
    pub(crate) fn has_set_aside(&self) -> bool {
        self.has(SPOILT_FOLDER)
    }

    /// Notes that there is no dataset until the files are of a whole copy.
    async fn is_blank(&mut self) -> Result<(), AgentError> {
        if !self.blank {
            atomic_file::replace(&self.folder.join(BLANK_FILE), "", 0o600).await?;
            self.blank = true;
        }
        Ok(())
    }

    /// Makes `marker` durable, unless it is there already.
    pub(crate) async fn mark(&mut self, marker: Marker) -> Result<(), AgentError> {
        if self.marker.as_ref() != Some(&marker) {
            let path = self.folder.join(MARKER_FILE);
            let text = serde_json::to_vec(&marker).map_err(|source| AgentError::Config {
                path: path.clone(),
                source,
            })?;
            atomic_file::replace(&path, text, 0o600).await?;
        }
        let complete = marker.complete;
        self.marker = Some(marker);
        if complete { self.is_saved() } else { Ok(()) }
    }

    /// Notes that the files are of a whole copy, though perhaps an old one.
    pub(crate) fn is_saved(&mut self) -> Result<(), AgentError> {
        if !self.blank {
            return Ok(());
        }
        let path = self.folder.join(BLANK_FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(AgentError::file("removing", path)(error))
            }
            _ => {
                self.blank = false;
                Ok(())
            }
        }
    }
}

fn is_filled(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
        }
        Ok(found) => found.len() > 0,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn marker(complete: bool) -> Marker {
        Marker {
            uid: "u".to_owned(),
            primary: "b-redis-0".to_owned(),
            epoch: 3,
            complete,
            aof: None,
            fence: 0,
        }
    }

    #[tokio::test]
    async fn a_marker_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut volume = Volume::open(folder.path()).unwrap();
        assert_eq!(volume.marker(), None);
        volume.mark(marker(true)).await.unwrap();
        assert_eq!(
            Volume::open(folder.path()).unwrap().marker(),
            Some(&marker(true))
        );
    }

    #[test]
    fn a_broken_marker_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MARKER_FILE), "{\"uid\":").unwrap();
        assert_eq!(Volume::open(folder.path()).unwrap().marker(), None);
    }

    #[test]
    fn files_of_another_hand_are_a_dataset_and_empty_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join("appendonlydir")).unwrap();
        fs::write(folder.path().join("dump.rdb"), "").unwrap();
        assert!(!volume.has_dataset());
        fs::write(folder.path().join("dump.rdb"), "REDIS0011").unwrap();
        assert!(volume.has_dataset());
    }

    #[tokio::test]
    async fn only_files_of_the_kind_that_the_last_server_kept_are_its_dataset() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(AOF_FOLDER)).unwrap();
        fs::write(folder.path().join(AOF_FOLDER).join("manifest"), "x").unwrap();
        let mut volume = Volume::open(folder.path()).unwrap();
        assert_eq!(volume.is_in_aof(), Some(true));
        let in_snapshot = Marker {
            aof: Some(false),
            ..marker(true)
        };
        volume.mark(in_snapshot).await.unwrap();
        assert_eq!((volume.has_dataset(), volume.is_in_aof()), (false, None));
        fs::write(folder.path().join(SNAPSHOT_FILE), "REDIS0011").unwrap();
        assert!(volume.has_dataset());
        assert_eq!(volume.is_in_aof(), Some(false));
    }

    #[tokio::test]
    async fn what_a_server_makes_on_an_empty_volume_is_a_dataset_only_once_the_copy_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut volume = Volume::open(folder.path()).unwrap();
        volume.before_start().await.unwrap();
        fs::write(folder.path().join("dump.rdb"), "REDIS0011").unwrap();

        let mut volume = Volume::open(folder.path()).unwrap();
        assert!(!volume.has_dataset());
        volume.mark(marker(false)).await.unwrap();
        assert!(!volume.has_dataset());
        volume.mark(marker(true)).await.unwrap();
        assert!(volume.has_dataset());
        assert!(Volume::open(folder.path()).unwrap().has_dataset());
    }

    #[tokio::test]
    async fn files_that_are_set_aside_are_kept_once_and_are_no_dataset_until_the_copy_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut volume = Volume::open(folder.path()).unwrap();
        volume.mark(marker(true)).await.unwrap();
        for text in ["first", "second"] {
            fs::create_dir_all(path(AOF_FOLDER)).unwrap();
            fs::write(path(AOF_FOLDER).join("x.incr.aof"), text).unwrap();
            fs::write(path(SNAPSHOT_FILE), "REDIS0011").unwrap();
            let kept = volume.set_aside(marker(false)).await.unwrap();
            assert_eq!(kept, Kept::Yes(path(SPOILT_FOLDER)));
            let aside = path(SPOILT_FOLDER).join(AOF_FOLDER).join("x.incr.aof");
            assert_eq!(fs::read_to_string(aside).unwrap(), text);
            assert!(path(SPOILT_FOLDER).join(SNAPSHOT_FILE).exists());
        }
        for mut volume in [volume, Volume::open(folder.path()).unwrap()] {
            assert!(volume.has_set_aside());
            assert_eq!(volume.is_in_aof(), None);
            // What a server makes meanwhile.
            fs::create_dir_all(path(AOF_FOLDER)).unwrap();
            fs::write(path(AOF_FOLDER).join("manifest"), "x").unwrap();
            assert!(!volume.has_dataset());
            assert_eq!(volume.marker(), Some(&marker(false)));
            volume.before_start().await.unwrap();
            assert!(!volume.has_dataset());
            fs::remove_dir_all(path(AOF_FOLDER)).unwrap();
        }
        let mut volume = Volume::open(folder.path()).unwrap();
        volume.mark(marker(true)).await.unwrap();
        fs::write(path(SNAPSHOT_FILE), "REDIS0011").unwrap();
        assert!(volume.has_dataset());
    }

    #[tokio::test]
    async fn a_volume_whose_marker_cannot_be_written_keeps_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut volume = Volume::open(folder.path()).unwrap();
        fs::write(folder.path().join(SNAPSHOT_FILE), "REDIS0011").unwrap();
        fs::create_dir(folder.path().join(MARKER_FILE)).unwrap();
        volume.set_aside(marker(false)).await.unwrap_err();
        assert!(folder.path().join(SNAPSHOT_FILE).exists());
        assert!(!volume.has_dataset(), "it cannot be read");
    }

    #[tokio::test]
    async fn a_snapshot_is_read_dataset_or_not_and_is_one_once_it_was_saved_of_a_whole_copy() {
        let folder = tempfile::tempdir().unwrap();
        let mut volume = Volume::open(folder.path()).unwrap();
        volume.before_start().await.unwrap();
        let running = Marker {
            aof: Some(false),
            ..marker(false)
        };
        volume.mark(running).await.unwrap();
        fs::write(folder.path().join(SNAPSHOT_FILE), "REDIS0011").unwrap();
        assert_eq!(
            (volume.has_dataset(), volume.is_in_aof()),
            (false, Some(false))
        );
        volume.is_saved().unwrap();
        assert!(volume.has_dataset());
        assert!(Volume::open(folder.path()).unwrap().has_dataset());
    }
}
