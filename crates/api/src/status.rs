//! What the operator reports.

mod backup;
mod flush;

pub use backup::{BackupPhase, BackupProgress, BackupStatus, Restored};
pub use flush::Flush;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator reports of a bus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheBusStatus {
    /// The generation of the spec that the rest of the status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One entry per concern; see the documented list of types and reasons.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Who the primary is, and who is to become it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// The last change of the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failover: Option<LastFailover>,
    /// Replicas in sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Count>,
    /// Sentinels that agree on the primary and know one another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinels: Option<Count>,
    /// Engine and version that the primary reports, such as `Redis 8.0.6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// The Secret of each service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["service"]))]
    pub bindings: Vec<Binding>,
    /// What a restart of pods is still owed to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_restart: Vec<PendingRestart>,
    /// When the bus's serving certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<Time>,
    /// How far backups have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupProgress>,
    /// The backup that the bus was restored from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// The keyspaces that were emptied last, or are to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush: Option<Flush>,
    /// How much the contract declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractSize>,
}

/// Who the primary is, and who is to become it. A change is written here before it is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// Pod that is the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// Grows with each change of the primary; an order with an older epoch is refused by every pod.
    #[serde(default)]
    pub epoch: u64,
    /// Since when it is the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Pod that is being made the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Planned change of the primary that the primary's agent carries out, or is about to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
    /// Number of the last handover of the primary's agent that is accounted for.
    #[serde(default)]
    pub handovers: u64,
    /// Pod that is being restarted, or was restarted last while the rollout goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Box<Restart>>,
    /// The Sentinels as they are to be now, while their number changes too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinels: Option<Electorate>,
    /// Since when the operator waits for copies of the data to report before it chooses a primary among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choosing_since: Option<Time>,
    /// What a majority of Sentinels says and what is not followed, until they decide anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overruled: Option<Overruled>,
}

/// A decision of the Sentinels that was not followed, since another copy of the data was newer or theirs was gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overruled {
    /// Pod that they name.
    pub pod: String,
    /// Their `config-epoch`: in a newer one they have decided anew.
    pub config_epoch: u64,
}

/// How many Sentinels there are to be. Both change by one at a time: a majority of one number of Sentinels and a majority of
/// the next always share a Sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Electorate {
    /// Those of which a majority is counted, from the lowest ordinal up.
    pub members: u32,
    /// Pods: one more than members while one joins or leaves.
    pub pods: u32,
}

/// A change of the primary that has been decided and is being carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Pod that is being made the primary.
    pub pod: String,
    /// Epoch of the change.
    pub epoch: u64,
    /// Why, in one word.
    pub reason: String,
    /// Whether every copy of the data was seen to be empty, so that an empty one may lead.
    #[serde(default)]
    pub empty: bool,
    /// Pods that were to become it before this one, and may have an order to lead on its way to them still. Each is told of
    /// this change before it is carried out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<String>,
}

/// A planned change of the primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Handover {
    /// Pod that is to lead; absent: whichever replica is best in sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why, in one word.
    pub reason: String,
    /// When it was decided.
    pub since: Time,
    /// Why it failed, where it did. It is decided anew after a while, if it is still wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// A restart of a pod by the operator. It is not repeated while nothing of what it was made for has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// The pod.
    pub pod: String,
    /// UID that it had before.
    pub uid: String,
    /// UID of its claim, where its volume is given up with it and it comes back with an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// What it was restarted for.
    pub reason: String,
    /// Generation of the spec that it was restarted for.
    pub generation: i64,
    /// Revision of its StatefulSet that it was restarted for.
    pub revision: String,
    /// When that was decided.
    pub since: Time,
}

/// The last change of the primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastFailover {
    /// Pod that was the primary.
    pub from: String,
    /// Pod that is the primary since.
    pub to: String,
    /// Why, in one word.
    pub reason: String,
    /// Milliseconds in which no write was taken, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_gap_ms: Option<u64>,
    /// When the operator saw that it was done.
    pub finished_at: Time,
}

/// How many there are of how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// That are well.
    pub ready: u32,
    /// That there should be.
    pub desired: u32,
    /// Both, for people: `2/2`.
    pub summary: String,
}

impl Count {
    /// A count with its summary.
    #[must_use]
    pub fn new(ready: u32, desired: u32) -> Self {
        Self {
            ready,
            desired,
            summary: format!("{ready}/{desired}"),
        }
    }
}

/// How much the contract declares. Figures of what is stored move all the time: they are metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContractSize {
    /// Keyspaces.
    pub keyspaces: u32,
    /// Channels: the events of all groups.
    pub channels: u32,
    /// Services.
    pub services: u32,
}

/// The Secret of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Binding {
    /// Name of the service.
    pub service: String,
    /// Name of its Secret, in the bus's namespace.
    pub name: String,
}

/// A pod that runs with older settings than the spec asks for, which only a restart brings in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PendingRestart {
    /// The pod.
    pub pod: String,
    /// What differs.
    pub reason: String,
}
