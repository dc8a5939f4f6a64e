//! The folder that a bus leaves behind: passwords, bindings, the server's configuration and log. Nobody else may read it.

use crate::error::DevError;
use cachebus_core::credentials::Password;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempDir};

/// By this file a folder is known for one of ours.
const LOCK: &str = "lock";
/// Keeps passwords out of repositories.
const IGNORE: &str = ".gitignore";
const PASSWORDS: &str = "passwords.json";
const PORT: &str = "port";
const BINDINGS: &str = "bindings";
const DATA: &str = "data";
const SERVER_LOG: &str = "server.log";
/// What of the log an error repeats.
const LAST_LINES: usize = 12;

/// The folder. It is this process's as long as the value lives.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
    _lock: File,
    /// Removes the folder.
    _temporary: Option<TempDir>,
}

impl State {
    /// A folder that stays.
    pub(crate) fn open(folder: &Path) -> Result<Self, DevError> {
        make(folder)?;
        let folder = fs::canonicalize(folder).map_err(DevError::file("finding", folder))?;
        let lock = folder.join(LOCK);
        let mut entries = fs::read_dir(&folder).map_err(DevError::file("reading", &folder))?;
        if !lock.exists() && entries.next().is_some() {
            return Err(DevError::FolderTaken(folder));
        }
        Self::locked(folder, None)
    }

    /// A folder that goes with the value.
    pub(crate) fn temporary() -> Result<Self, DevError> {
        let folder = tempfile::Builder::new()
            .prefix("cachebus-dev-")
            .tempdir()
            .map_err(DevError::file("making a folder in", &std::env::temp_dir()))?;
        Self::locked(folder.path().to_owned(), Some(folder))
    }

    fn locked(folder: PathBuf, temporary: Option<TempDir>) -> Result<Self, DevError> {
        let path = folder.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(DevError::file("opening", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DevError::FolderInUse(folder)),
            Err(TryLockError::Error(source)) => {
                return Err(DevError::file("locking", &path)(source));
            }
        }
        let state = Self {
            folder,
            _lock: lock,
            _temporary: temporary,
        };
        state.write(IGNORE, "*\n")?;
        make(&state.bindings())?;
        Ok(state)
    }

    /// Path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where bindings are, one folder for each service.
    pub(crate) fn bindings(&self) -> PathBuf {
        self.path(BINDINGS)
    }

    /// Where a server keeps its data.
    pub(crate) fn data(&self) -> Result<PathBuf, DevError> {
        let data = self.path(DATA);
        make(&data)?;
        Ok(data)
    }

    /// Writes a file of the folder, whole or not at all, for its owner alone.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<PathBuf, DevError> {
        let path = self.path(name);
        write(&path, content)?;
        Ok(path)
    }

    /// An empty file for what a server prints.
    pub(crate) fn log(&self) -> Result<File, DevError> {
        let path = self.path(SERVER_LOG);
        File::create(&path).map_err(DevError::file("writing", &path))
    }

    /// The last lines that the server printed.
    pub(crate) fn log_end(&self) -> String {
        let text = fs::read(self.path(SERVER_LOG)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    /// The passwords of all users that there have been, so that bindings stay valid whatever the file says meanwhile.
    pub(crate) fn passwords(&self) -> Result<BTreeMap<String, Password>, DevError> {
        let path = self.path(PASSWORDS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(DevError::file("reading", &path)(error)),
        };
        // What was spoilt by hand is drawn anew.
        let passwords: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        Ok(passwords
            .into_iter()
            .filter_map(|(user, password)| {
                Some((user, Password::new(password.as_str()?.to_owned())))
            })
            .collect())
    }

    pub(crate) fn keep_passwords(
        &self,
        passwords: &BTreeMap<String, Password>,
    ) -> Result<(), DevError> {
        let passwords: Map<String, Value> = passwords
            .iter()
            .map(|(user, password)| (user.clone(), password.expose().into()))
            .collect();
        self.write(PASSWORDS, &format!("{:#}\n", Value::from(passwords)))?;
        Ok(())
    }

    /// The port of the last time.
    pub(crate) fn port(&self) -> Option<u16> {
        let text = fs::read_to_string(self.path(PORT)).ok()?;
        text.trim().parse().ok()
    }

    pub(crate) fn keep_port(&self, port: u16) -> Result<(), DevError> {
        self.write(PORT, &format!("{port}\n")).map(drop)
    }

    /// Writes the bindings, by service and entry, and removes those of services that there are no more. Files that are as they
    /// should be stay untouched.
    pub(crate) fn bind<'a>(
        &self,
        bindings: impl IntoIterator<Item = (&'a str, BTreeMap<&'static str, String>)>,
    ) -> Result<(), DevError> {
        let root = self.bindings();
        let mut services = BTreeSet::new();
        for (service, entries) in bindings {
            let folder = root.join(service);
            make(&folder)?;
            for (entry, value) in &entries {
                let path = folder.join(entry);
                if !fs::read(&path).is_ok_and(|there| there == value.as_bytes()) {
                    write(&path, value)?;
                }
            }
            services.insert(service.to_owned());
        }
        let folders = fs::read_dir(&root).map_err(DevError::file("reading", &root))?;
        for folder in folders.flatten() {
            let name = folder.file_name();
            if !name.to_str().is_some_and(|name| services.contains(name)) {
                let path = folder.path();
                fs::remove_dir_all(&path).map_err(DevError::file("removing", &path))?;
            }
        }
        Ok(())
    }
}

fn make(folder: &Path) -> Result<(), DevError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(DevError::file("making", folder))
}

fn write(path: &Path, content: &str) -> Result<(), DevError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(content.as_bytes())?;
        Ok(file.persist(path)?)
    });
    written.map(drop).map_err(DevError::file("writing", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn passwords_come_back_and_are_for_their_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("state");
        let passwords = BTreeMap::from([("a".to_owned(), Password::new("hunter2".to_owned()))]);
        State::open(&folder)
            .unwrap()
            .keep_passwords(&passwords)
            .unwrap();
        let again = State::open(&folder).unwrap();
        assert_eq!(again.passwords().unwrap(), passwords);
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(PASSWORDS)), 0o600);
        fs::write(folder.join(PASSWORDS), "{").unwrap();
        assert!(again.passwords().unwrap().is_empty());
        assert_eq!(fs::read_to_string(folder.join(IGNORE)).unwrap(), "*\n");
    }

    #[test]
    fn a_folder_is_used_once_at_a_time_and_only_where_it_is_ours() {
        let place = tempfile::tempdir().unwrap();
        let first = State::open(place.path()).unwrap();
        assert!(matches!(
            State::open(place.path()),
            Err(DevError::FolderInUse(_))
        ));
        drop(first);
        State::open(place.path()).unwrap();
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("main.rs"), "").unwrap();
        assert!(matches!(
            State::open(other.path()),
            Err(DevError::FolderTaken(_))
        ));
    }

    #[test]
    fn bindings_are_those_of_the_services_that_there_are() {
        let state = State::temporary().unwrap();
        let entries = |host: &str| BTreeMap::from([("host", host.to_owned())]);
        state
            .bind([("a", entries("1")), ("b", entries("1"))])
            .unwrap();
        let file = state.bindings().join("a/host");
        assert_eq!(mode(&file), 0o600);
        let before = fs::metadata(&file).unwrap().modified().unwrap();
        state.bind([("a", entries("1"))]).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
        assert!(!state.bindings().join("b").exists());
        state.bind([("a", entries("2"))]).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "2");
        let folder = state.bindings();
        drop(state);
        assert!(!folder.exists());
    }

    #[test]
    fn an_error_repeats_the_end_of_the_log() {
        let state = State::temporary().unwrap();
        let lines: Vec<String> = (0..40).map(|line| line.to_string()).collect();
        write!(state.log().unwrap(), "{}", lines.join("\n")).unwrap();
        assert!(state.log_end().starts_with("28\n"));
        assert!(state.log_end().ends_with("\n39"));
    }
}
