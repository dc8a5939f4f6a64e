//! What operator and agents say to one another, and what an agent keeps on disk.
//!
//! | request | body | reply |
//! | --- | --- | --- |
//! | `GET /v1/status` | | [`AgentStatus`] |
//! | `GET /v1/status/after/<revision>` | | [`AgentStatus`] as soon as its [revision](AgentStatus::revision) is another, or 204 after [`HOLD`] |
//! | `PUT /v1/topology` (data pods) | [`TopologyOrder`] | [`AgentStatus`], or 409 with a [`Refusal`] |
//! | `PUT /v1/handover` (data pods) | [`HandoverOrder`] | [`AgentStatus`] once it has ended, or 409 with a [`Refusal`] |
//! | `PUT /v1/config` (data pods) | [`ConfigOrder`] | [`AgentStatus`], or 409 with a [`Refusal`] |
//! | `PUT /v1/flush` (data pods) | [`FlushOrder`] | [`AgentStatus`], or 409 with a [`Refusal`] |
//! | `PUT /v1/acl` | [`AclOrder`] | [`AgentStatus`], or 409 with a [`Refusal`] |
//! | `PUT /v1/monitor` (Sentinel pods) | [`MonitorOrder`] | [`AgentStatus`], or 409 with a [`Refusal`] |
//! | `PUT /v1/retire` (Sentinel pods) | [`RetireOrder`] | [`AgentStatus`], or 409 with a [`Refusal`] |
//!
//! Each answer to a `GET` names its revision in the header `ETag`, in quotes. Served on [`crate::names::API_PORT`] to the
//! operator's client certificate only. No secret travels here.

mod fenced;
mod flush;
mod handover;
mod keyspaces;
mod library;
mod revision;
mod sentinel;
mod streams;
mod unknown;

pub use fenced::Fenced;
pub use flush::{FlushOrder, FlushOutcome, FlushReport, FlushStatus};
pub use handover::{HANDOVER, HandoverCause, HandoverOrder, HandoverOutcome, HandoverReport};
pub use keyspaces::CountedKeyspace;
pub use library::{LibraryStatus, RefusedLibrary};
pub use revision::HOLD;
pub use sentinel::{
    KnownSentinel, MonitorOrder, MonitorSettings, Monitored, Peer, RetireOrder, SILENT_MS,
    SentinelStatus,
};
pub use streams::{
    Consumer, Consumers, ConsumersStatus, DurableChannels, DurableEvents, Subscriber,
};

use crate::names::Component;
use cachebus_api::engine::EngineKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What every agent of a bus has to know, from the mounted ConfigMap. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentConfig {
    /// Name of the bus.
    pub bus: String,
    /// Namespace of the bus.
    pub namespace: String,
    /// DNS domain of the cluster.
    pub domain: String,
    /// UID of the `CacheBus`: data and orders of another UID are foreign.
    pub uid: String,
    /// Name by which Sentinels know the primary.
    pub master_name: String,
    /// Family of the engine; decides the server's binary.
    pub engine: EngineKind,
    /// Port of the data nodes (TLS unless `tls` is off).
    pub port: u16,
    /// Port of the Sentinels (TLS unless `tls` is off).
    pub sentinel_port: u16,
    /// Whether nodes, Sentinels and the agent speak TLS to one another.
    pub tls: bool,
    /// Announced DNS names of the Sentinels.
    pub sentinels: Vec<String>,
    /// Sentinels that must agree.
    pub quorum: u32,
    /// `replica-priority` of a copy that may be promoted.
    pub replica_priority: u32,
    /// Data pods that there are to be besides the primary's. A bus that shrinks has more of them than it asks for, until its primary
    /// runs in a pod that stays.
    #[serde(default)]
    pub replicas: u32,
    /// How long a primary that lacks a replica takes writes after a majority of Sentinels last answered it, milliseconds; 0: always.
    #[serde(default)]
    pub fencing_window_ms: u64,
    /// What the Sentinels are told of the primary.
    pub monitor: MonitorSettings,
    /// The durable part of the contract.
    #[serde(default)]
    pub events: DurableEvents,
    /// The keyspaces of the contract.
    #[serde(default)]
    pub keyspaces: Vec<CountedKeyspace>,
}

/// What lies beside the data and says whose it is and how far it can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marker {
    /// UID of the bus that wrote the data.
    pub uid: String,
    /// Pod that this copy last took for the primary (itself, where it led).
    pub primary: String,
    /// Epoch of that.
    pub epoch: u64,
    /// Whether the files hold what the memory holds: false from the beginning of a full synchronisation until the
    /// append-only file has been rewritten after it. `primary` and `epoch` then still speak of the older files. Without an
    /// append-only file it is true only from a shutdown with a snapshot to the next start.
    pub complete: bool,
    /// Whether the data is in the append-only file; else it is in the snapshot. `None`: not noted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aof: Option<bool>,
    /// Highest epoch of an order that this pod obeyed, whether or not data of that epoch ever arrived. Older orders are
    /// refused.
    #[serde(default)]
    pub fence: u64,
}

/// What one agent reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// The pod.
    pub pod: String,
    /// UID of the bus it serves.
    pub uid: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Engine and version of the binary, such as `8.0.6`.
    pub engine: Option<EngineReport>,
    /// Times the server ended without being asked to since the agent started.
    pub crashes: u64,
    /// Lower-case hex SHA-256 of the ACL text that the live users were last seen to equal.
    pub acl_digest: Option<String>,
    /// Expiry of the certificate that the server was last told to load, seconds since 1970.
    pub certificate_expires: Option<i64>,
    /// [Fingerprint](crate::tls::fingerprint) of the certificate that the server showed to its agent; `None`: it has shown
    /// none yet, or speaks plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// What is special to data pods or to Sentinel pods.
    #[serde(flatten)]
    pub node: NodeStatus,
}

/// The engine as its binary names itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EngineReport {
    /// Family.
    pub kind: EngineKind,
    /// Full version, `8.0.6`.
    pub version: String,
}

/// The part of a report that depends on what the pod runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// A data pod.
    Redis(Box<DataStatus>),
    /// A Sentinel pod.
    Sentinel(SentinelStatus),
}

/// Where a data pod stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// The server is not running yet, or not any more.
    Down,
    /// The server is kept from starting: Sentinels name this pod the primary and its dataset is gone. They move on.
    Holding,
    /// The server reads its files.
    Loading,
    /// The server runs, takes no writes and follows nobody until it is told whom.
    Sealed,
    /// The server is the primary.
    Leading,
    /// The server follows the pod named here (its announced host name where it is none of the bus's).
    Following(String),
    /// What this version has no word for: waited for, told nothing, and counted as nobody's primary.
    Unknown,
}

/// What a data pod's agent reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataStatus {
    /// Where the pod stands.
    #[serde(deserialize_with = "unknown::or_unknown")]
    pub phase: Phase,
    /// What lies beside the data, also where an earlier bus of the same name left it (its UID tells); `None`: a fresh volume.
    pub marker: Option<Marker>,
    /// Keys in memory; `None` until loaded.
    pub keys: Option<u64>,
    /// Whether there was a dataset on disk when the server started (a key count of 0 can be an honest, empty dataset).
    pub dataset: bool,
    /// Replication as the server reports it, once it runs.
    pub replication: Option<ReplicationStatus>,
    /// The last handover that this agent began, where it began one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<HandoverReport>,
    /// Why a primary refuses writes, where its agent has it do so.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "unknown::or_unknown"
    )]
    pub fenced: Option<Fenced>,
    /// Sentinels of which its agent counts the majority; `None`: it is too old to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub electorate: Option<u32>,
    /// Files that the server could not read lie in a folder of their own on the volume, and count for no copy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_aside: bool,
    /// Live values of the directives that a bus may set; none holds a secret. Empty until the server runs. The directive by
    /// which a primary is fenced is left out while it is.
    pub config: BTreeMap<String, String>,
    /// Directives that were ordered, and that the server refused: until it takes them, or they have not been ordered for a while.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused_settings: BTreeMap<String, RefusedSetting>,
    /// The function library that it serves; `None`: it does not lead, its agent has not looked yet or is too old to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<LibraryStatus>,
    /// How the consumers of durable channels get on; `None`: it does not lead, there are no such channels, its agent has not looked yet
    /// or is too old to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<ConsumersStatus>,
    /// What it was ordered to empty; `None`: it does not lead, or its agent is too old to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush: Option<FlushStatus>,
}

/// A value that a server does not take.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RefusedSetting {
    /// As it was ordered.
    pub value: String,
    /// What the server said.
    pub why: String,
    /// It is worth another try. An agent that is too old to say so has the refusal lapse instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub due: bool,
}

/// `INFO replication` of a data node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicationStatus {
    /// `master_repl_offset`, or the replica's own.
    pub offset: u64,
    /// `master_link_status` is up (replicas).
    pub link_up: bool,
    /// The link is up, or was until 3 s ago: what it serves is no older. `false` from an agent that is too old to tell.
    #[serde(default)]
    pub was_in_sync: bool,
    /// A full synchronisation is under way (replicas).
    pub syncing: bool,
    /// Replicas that this node feeds (primary): announced host, whether online, lag in seconds.
    pub replicas: Vec<FedReplica>,
}

/// A replica in the primary's own list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FedReplica {
    /// Announced host name.
    pub host: String,
    /// Its state is `online`.
    pub online: bool,
    /// Seconds since it last acknowledged.
    pub lag: u64,
}

/// Who the primary is to be. A data pod that is named leads; any other follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopologyOrder {
    /// UID of the bus.
    pub uid: String,
    /// Pod that is to be the primary.
    pub primary: String,
    /// Epoch of the order; refused when older than the marker's.
    pub epoch: u64,
    /// A pod may lead for whose data no marker vouches: every copy was seen to be empty, or this one was seen to hold keys
    /// that came with the volume.
    pub allow_empty: bool,
    /// Pod that a majority of Sentinels names although its dataset is gone, so that this order may contradict them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

/// Live settings to make so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigOrder {
    /// Directive and value, as `CONFIG SET` takes them.
    pub settings: BTreeMap<String, String>,
}

/// The users that shall exist, and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclOrder {
    /// Text of the ACL file: hashes only.
    pub text: String,
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable, one word.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// A refusal for this reason, with what people are told of it.
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}

impl AgentStatus {
    /// What the pod runs.
    #[must_use]
    pub fn component(&self) -> Component {
        match self.node {
            NodeStatus::Redis(_) => Component::Redis,
            NodeStatus::Sentinel(_) => Component::Sentinel,
        }
    }
}
