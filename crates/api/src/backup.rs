//! Backups: where they go, how often they are made, how long they are kept; and `CacheBusBackup`, one of them.

use crate::status::BackupStatus;
use crate::{Duration, rules};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Backups of a bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupSettings {
    /// When backups are made: minute, hour, day of the month, month, day of the week, in UTC. Absent: none is made but those
    /// that a `CacheBusBackup` asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 128))]
    pub schedule: Option<String>,
    /// No backup is made by the schedule.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// Where backups go.
    pub destination: Destination,
    /// With what they are encrypted before they leave the pod that makes them. Absent: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// How long backups of the schedule are kept. Absent: for ever. Those that a person asked for are never deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Whether each backup is read back, decrypted and loaded into an engine before it counts as one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verify: bool,
}

/// Where backups go: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_destination())]
pub struct Destination {
    /// A bucket of an S3-compatible store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3>,
    /// A volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<BackupVolume>,
}

/// A bucket of an S3-compatible store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3 {
    /// URL of the store, `https://…`; `http://…` sends what is not encrypted in clear. Absent: Amazon's, of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^https?://[^\s/?#@]+/?$"), length(max = 253))]
    pub endpoint: Option<String>,
    /// The bucket, which must exist.
    #[schemars(
        regex(pattern = r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$"),
        length(min = 3, max = 63)
    )]
    pub bucket: String,
    /// Folder in it, without a slash at either end.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(
        regex(pattern = r"^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$"),
        length(max = 253)
    )]
    pub prefix: String,
    /// Region.
    #[serde(default = "S3::default_region")]
    #[schemars(regex(pattern = r"^[a-z0-9-]+$"), length(max = 63))]
    pub region: String,
    /// Secret with `access-key-id` and `secret-access-key`, in the namespace of the bus.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        length(max = 253)
    )]
    pub credentials_secret: String,
    /// Secret with the authorities of the store's certificate in `ca.crt`. Absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        length(min = 1, max = 253)
    )]
    pub ca_secret: Option<String>,
    /// The bucket is the first part of the path, as most stores but Amazon's have it; else it is part of the host's name.
    #[serde(default = "S3::default_path_style")]
    pub path_style: bool,
}

impl S3 {
    fn default_region() -> String {
        "us-east-1".to_owned()
    }
    fn default_path_style() -> bool {
        true
    }
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupVolume {
    /// Claim of the volume, in the namespace of the bus. None of the bus's own.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        length(max = 253)
    )]
    pub claim_name: String,
}

/// Encryption by [age](https://age-encryption.org), with keys of its kind X25519.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// Secret with `recipients` (`age1…`, one a line), to encrypt, and `identity` (`AGE-SECRET-KEY-1…`), to verify and to
    /// restore. With `identity` alone it is its recipient that is encrypted to.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        length(max = 253)
    )]
    pub secret_name: String,
}

/// How long backups are kept. One that exceeds either is deleted; the newest never is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::some_retention())]
pub struct Retention {
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub count: Option<u32>,
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
}

/// What a new bus begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// The backup that it is restored from.
    pub from_backup: BackupSource,
}

/// A backup, by where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupSource {
    /// Where it is.
    pub destination: Destination,
    /// Its folder there, as `status.path` of its `CacheBusBackup` has it: `<namespace>/<bus>/<backup>`.
    #[schemars(
        regex(pattern = r"^[a-z0-9-]+/[a-z0-9-]+/[a-z0-9-]+$"),
        length(max = 253)
    )]
    pub path: String,
    /// With what it is decrypted, where it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

/// A backup of a bus. What it does not say itself is as `spec.backup` of the bus has it when it begins.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema,
)]
#[kube(
    group = "cachebus.dev",
    version = "v1alpha1",
    kind = "CacheBusBackup",
    plural = "cachebusbackups",
    shortname = "cbb",
    namespaced,
    status = "BackupStatus",
    derive = "PartialEq",
    doc = "A backup of a bus: made once, as soon as it can be.",
    validation = rules::backup_name(),
    printcolumn(name = "Bus", type_ = "string", json_path = ".spec.bus"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Keys", type_ = "integer", json_path = ".status.keys"),
    printcolumn(name = "Bytes", type_ = "integer", json_path = ".status.sizeBytes"),
    printcolumn(name = "Verified", type_ = "boolean", json_path = ".status.verified"),
    printcolumn(name = "Finished", type_ = "date", json_path = ".status.finishedAt"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Path", type_ = "string", json_path = ".status.path", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("a backup is made once: make another one"))]
pub struct CacheBusBackupSpec {
    /// The bus, in the same namespace.
    #[schemars(regex(pattern = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"), length(max = 40))]
    pub bus: String,
    /// Where it goes. Default: where the bus's backups go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// With what it is encrypted. Default: as the bus's backups are, where `destination` is the bus's too; else it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Whether it is loaded into an engine before it counts. Default: as the bus's backups are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<bool>,
}
