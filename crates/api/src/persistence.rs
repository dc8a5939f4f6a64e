//! What survives a restart: volumes, snapshots and the append-only file.

use crate::{Bytes, Duration, rules};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of the volumes when the bus is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reclaim {
    /// They stay; a bus of the same name takes them up again.
    #[default]
    Retain,
    /// They are deleted with the bus.
    Delete,
}

/// The volume of each data pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size of each data pod's volume. Never shrinks. Volumes that exist grow where their class allows it, and are replaced one by
    /// one where it does not.
    #[serde(default = "Storage::default_size")]
    pub size: Bytes,
    /// Storage class of every volume of the bus. Default: the cluster's. When it changes, volumes are replaced one by one; when it is
    /// taken away, they stay in the class that they are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        length(min = 1, max = 253)
    )]
    pub storage_class_name: Option<String>,
    /// What becomes of the volumes when the bus is deleted.
    #[serde(default)]
    pub reclaim: Reclaim,
}

impl Storage {
    fn default_size() -> Bytes {
        Bytes::text("8Gi")
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            size: Self::default_size(),
            storage_class_name: None,
            reclaim: Reclaim::default(),
        }
    }
}

/// How often the append-only file is forced to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Aof {
    /// At every write: slowest, loses nothing on a power cut.
    Always,
    /// Once a second.
    #[default]
    Everysec,
    /// When the operating system likes (`appendfsync no`; a bare `no` is a boolean in YAML).
    Never,
    /// No append-only file.
    Disabled,
}

/// A snapshot is taken `after` this time if at least `changes` writes were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::whole_seconds("after", "1s", "8760h"))]
pub struct SnapshotRule {
    /// Time since the last snapshot, in whole seconds.
    pub after: Duration,
    /// Least number of writes.
    #[schemars(range(min = 1))]
    pub changes: u32,
}

/// Snapshots and the append-only file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Persistence {
    /// Snapshot rules; an empty list turns snapshots off.
    #[serde(default = "Persistence::default_rdb")]
    #[schemars(length(max = 8))]
    pub rdb: Vec<SnapshotRule>,
    /// The append-only file.
    #[serde(default)]
    pub aof: Aof,
}

impl Persistence {
    fn default_rdb() -> Vec<SnapshotRule> {
        [(900, 1), (300, 10), (60, 10_000)]
            .into_iter()
            .map(|(after, changes)| SnapshotRule {
                after: Duration::seconds(after),
                changes,
            })
            .collect()
    }
}

impl Default for Persistence {
    fn default() -> Self {
        Self {
            rdb: Self::default_rdb(),
            aof: Aof::default(),
        }
    }
}
