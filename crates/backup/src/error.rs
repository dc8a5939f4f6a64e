//! Why nothing came of a task.

use cachebus_agent::AgentError;
use std::io;
use std::path::PathBuf;

/// What went wrong, with what was tried and on what. Holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The task, or what came of it, is not what this program understands.
    #[error("the task does not parse: {0}")]
    Task(serde_json::Error),
    /// A file or folder could not be read or written.
    #[error("{action} {path}: {source}")]
    File {
        /// What was tried: `reading`, `writing` …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is mounted to reach the destination, or to encrypt, cannot be used.
    #[error("{what} cannot be used: {why}")]
    Material {
        /// What of it.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The destination refused something, or was not reached.
    #[error("{action}: {source}")]
    Storage {
        /// What was tried.
        action: &'static str,
        /// What it said.
        source: object_store::Error,
    },
    /// There is a backup in this folder already.
    #[error("there is a backup in {0} already: give this one another name")]
    Taken(String),
    /// There is no backup in this folder: it has no manifest.
    #[error("there is no backup in {0}")]
    NoBackup(String),
    /// What is stored is not what the manifest says.
    #[error("{file} is damaged: {why}")]
    Damaged {
        /// The file.
        file: String,
        /// How it differs.
        why: String,
    },
    /// No data pod gave its data.
    #[error("no data pod gave its data: {0}")]
    NoSource(String),
    /// A data pod broke off in the middle.
    #[error("{pod} broke off: {source}")]
    BrokenOff {
        /// The pod.
        pod: String,
        /// How.
        source: io::Error,
    },
    /// What a data pod sent is no dataset.
    #[error("{0} sent something else than a dataset")]
    NotADataset(String),
    /// It could not be encrypted or decrypted.
    #[error("{action}: {why}")]
    Cipher {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        why: String,
    },
    /// The pod is to end.
    #[error("the pod was told to end")]
    Stopped,
    /// The engine does not take the backup.
    #[error("the engine does not load it: {0}")]
    NotLoaded(String),
    /// The engine found other keys than the backup should have.
    #[error("it should have {expected} keys, and {found} were found in it")]
    KeysDiffer {
        /// What the manifest says.
        expected: u64,
        /// What there was.
        found: u64,
    },
    /// The volume holds data, which is never replaced.
    #[error("the volume of {0} holds data already: delete its claim, or take spec.bootstrap away")]
    VolumeHoldsData(String),
    /// The volume could not be looked at or marked.
    #[error(transparent)]
    Volume(#[from] AgentError),
}

impl BackupError {
    /// A stable word for the status and for Events.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Task(_) => "TaskUnreadable",
            Self::File { .. } => "FileFailed",
            Self::Material { .. } => "SecretInvalid",
            Self::Storage { source, .. } => match source {
                object_store::Error::NotFound { .. } => "NotFound",
                object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. } => "StorageRefused",
                _ => "StorageFailed",
            },
            Self::Taken(_) => "AlreadyThere",
            Self::NoBackup(_) => "NoBackup",
            Self::Damaged { .. } => "Damaged",
            Self::NoSource(_) => "NoSource",
            Self::BrokenOff { .. } => "SourceBrokeOff",
            Self::NotADataset(_) => "NotADataset",
            Self::Cipher { .. } => "CipherFailed",
            Self::Stopped => "Stopped",
            Self::NotLoaded(_) => "NotLoaded",
            Self::KeysDiffer { .. } => "KeysDiffer",
            Self::VolumeHoldsData(_) => "VolumeHoldsData",
            Self::Volume(error) => error.reason(),
        }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    pub(crate) fn storage(action: &'static str) -> impl FnOnce(object_store::Error) -> Self {
        move |source| Self::Storage { action, source }
    }
}
