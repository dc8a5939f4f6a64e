//! What the pod of a backup or of a restoration is told, and what it says when it ends. No secret is in either.

use cachebus_api::backup::{Destination, Retention};
use cachebus_api::engine::EngineKind;
use serde::{Deserialize, Serialize};

/// Environment variable that holds a [`Task`] as JSON.
pub const TASK_VARIABLE: &str = "CACHEBUS_TASK";

/// What a container is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Take a backup.
    Backup(Box<BackupTask>),
    /// Load a backup into an engine, and count.
    Verify(VerifyTask),
    /// Delete backups that have outlived themselves.
    Prune(PruneTask),
    /// Put a backup onto the volume of a data pod that is yet to start.
    Restore(RestoreTask),
}

/// A backup that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupTask {
    /// Name of the bus.
    pub bus: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// Name of the backup.
    pub backup: String,
    /// Whether the schedule asked for it.
    pub scheduled: bool,
    /// Where it goes.
    pub destination: Destination,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Data pods to take it from: the first that gives it.
    pub sources: Vec<Source>,
    /// Port of those.
    pub port: u16,
    /// Whether they speak TLS there.
    pub tls: bool,
}

/// A data pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub pod: String,
    /// The DNS name that it announces.
    pub host: String,
}

/// A backup that is to be proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyTask {
    /// Where it is.
    pub destination: Destination,
    /// Its folder there.
    pub path: String,
    /// Family of the engine that loads it.
    pub engine: EngineKind,
}

/// What is to be left of a bus's backups, once the newest is whole and, where that was asked for, proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneTask {
    /// Name of the bus.
    pub bus: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID. Those of an earlier bus of its name are not counted, and stay.
    pub uid: String,
    /// Where they are.
    pub destination: Destination,
    /// Which of the schedule's are deleted.
    pub retention: Retention,
}

/// A backup that a bus begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreTask {
    /// Where it is.
    pub destination: Destination,
    /// Its folder there.
    pub path: String,
    /// UID of the bus.
    pub uid: String,
    /// Data pod whose volume gets it.
    pub pod: String,
}

/// What a container says when it ends, as its termination message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// A backup is whole.
    Taken(Taken),
    /// A backup was loaded, and holds what it should.
    Verified(Loaded),
    /// Older backups were looked through.
    Pruned(Pruned),
    /// A backup is on the volume.
    Restored(Restoration),
    /// Nothing came of it.
    Failed(Failure),
}

/// A backup that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// Data pod that it was taken from.
    pub source: String,
    /// Engine that wrote it, such as `8.0.6`, where it tells.
    pub engine_version: Option<String>,
    /// Bytes, as stored.
    pub size_bytes: u64,
    /// Keys in it, where it tells.
    pub keys: Option<u64>,
    /// Lower-case hex SHA-256 of what is stored.
    pub sha256: String,
}

/// What was deleted of older backups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Names of those that were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<String>,
    /// Why others could not be, one word. That takes nothing from the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What an engine found in a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Keys that it has.
    pub keys: u64,
    /// Keys that it left out, since they had expired by then.
    pub expired: u64,
}

/// A backup that is on the volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restoration {
    /// Keys in it, where it tells.
    pub keys: Option<u64>,
    /// When it was made, seconds since 1970.
    pub taken_at_s: u64,
}

/// Why nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable, one word.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Report {
    /// What a container says, as far as it can be read.
    #[must_use]
    pub fn parse(message: &str) -> Option<Self> {
        serde_json::from_str(message).ok()
    }
}

/// Whether an engine found all keys that a backup says it has.
#[must_use]
pub fn judge_load(expected: Option<u64>, found: Loaded) -> bool {
    expected.is_none_or(|expected| found.keys.saturating_add(found.expired) == expected)
}
