//! What makes a folder a backup: its manifest, which is written last. A folder without one is none.

use serde::{Deserialize, Serialize};

/// Name of the manifest in a backup's folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Name of the data in it.
pub const PLAIN_FILE: &str = "dump.rdb";
/// The same, encrypted.
pub const ENCRYPTED_FILE: &str = "dump.rdb.age";

/// What is known of a backup. Written once all of its data is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Form of this file: 1.
    pub version: u32,
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
    /// When the data was what the backup holds, within the time that a fork takes: seconds since 1970.
    pub taken_at_s: u64,
    /// Data pod that it was taken from.
    pub source: String,
    /// Version of the engine that wrote it, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// Version of the format, `REDIS0012`.
    pub format: String,
    /// Keys in it, expired ones too, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<u64>,
    /// Name of the data file.
    pub file: String,
    /// Bytes of it.
    pub size_bytes: u64,
    /// Lower-case hex SHA-256 of it.
    pub sha256: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

/// Folder of a bus's backups in a destination.
#[must_use]
pub fn series(namespace: &str, bus: &str) -> String {
    format!("{namespace}/{bus}")
}

/// Folder of one of them.
#[must_use]
pub fn folder(namespace: &str, bus: &str, backup: &str) -> String {
    format!("{}/{backup}", series(namespace, bus))
}
