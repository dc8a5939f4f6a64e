//! What a Sentinel pod's agent reports and is told.

use serde::{Deserialize, Serialize};

/// What each Sentinel is told of the primary.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitorSettings {
    /// `down-after-milliseconds`.
    pub down_after_ms: u64,
    /// `failover-timeout`, milliseconds.
    pub failover_timeout_ms: u64,
    /// `parallel-syncs`.
    pub parallel_syncs: u32,
}

/// What a Sentinel pod's agent reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentinelStatus {
    /// Whether the Sentinel answers.
    pub up: bool,
    /// Its identity among Sentinels, once it was asked: 40 hexadecimal digits, kept in its file.
    #[serde(default)]
    pub run_id: Option<String>,
    /// What it knows of this bus's primary; `None`: it has not been told.
    pub monitored: Option<Monitored>,
}

/// What a Sentinel knows of the primary.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitored {
    /// Host that it names.
    pub host: String,
    /// Port of that.
    pub port: u16,
    /// `config-epoch`.
    pub config_epoch: u64,
    /// Quorum that it goes by.
    pub quorum: u32,
    /// Its settings.
    pub settings: MonitorSettings,
    /// Whether it holds the primary for down (`s_down` or `o_down`).
    pub down: bool,
    /// Whether a failover is running, from its beginning until the replicas have come to the new primary.
    pub failing_over: bool,
    /// Whether it still has to make another the primary: that one may lead already, beside the one named here.
    #[serde(default)]
    pub promoting: bool,
    /// Host names of the replicas it knows that answer.
    pub replicas: Vec<String>,
    /// Host names of the other Sentinels it knows that answer.
    pub peers: Vec<String>,
    /// Every other Sentinel that it counts, those included that do not answer. Empty from an agent that is too old to tell.
    #[serde(default)]
    pub known: Vec<KnownSentinel>,
}

/// A Sentinel in the list of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownSentinel {
    /// Host that it announced.
    pub host: String,
    /// Its identity.
    pub run_id: String,
    /// It has said nothing, and not answered, for [`SILENT_MS`].
    pub silent: bool,
}

/// Time in which a Sentinel that lives says something to the others, milliseconds: it does so each two seconds.
pub const SILENT_MS: u64 = 30_000;

/// What a Sentinel shall monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitorOrder {
    /// UID of the bus.
    pub uid: String,
    /// Pod that is the primary. Refused where the Sentinel already names another (Sentinels move that themselves), unless
    /// that other is `instead_of`.
    pub primary: String,
    /// Pod that a Sentinel must stop naming and never would by itself: its dataset is gone, or other Sentinels name `primary`
    /// in the same `config-epoch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// `config-epoch` in which it names `primary` in place of `instead_of`, unless it knows of a newer one itself. Newer than
    /// any in which a Sentinel is known to name somebody, so that those who hear of it later agree.
    #[serde(default)]
    pub config_epoch: u64,
    /// Sentinels that must agree.
    pub quorum: u32,
    /// Its settings.
    pub settings: MonitorSettings,
    /// Other Sentinels that it has not found, to be introduced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
    /// Identities of Sentinels that are gone for good, to be counted no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget: Vec<String>,
}

/// A Sentinel, for another to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its pod.
    pub pod: String,
    /// Its [`SentinelStatus::run_id`].
    pub run_id: String,
}

/// A Sentinel that leaves the bus shall watch it no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetireOrder {
    /// UID of the bus.
    pub uid: String,
}
