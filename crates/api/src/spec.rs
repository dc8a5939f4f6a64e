//! `CacheBus`: one Redis or Valkey primary with replicas, Sentinels and the contract of its services.

use crate::access::Access;
use crate::backup::{BackupSettings, Bootstrap};
use crate::contract::{Cache, Events, Service};
use crate::engine::Engine;
use crate::persistence::{Persistence, Storage};
use crate::pods::{PodSettings, Resources};
use crate::rules;
use crate::settings::{Connections, Durability, Memory, Replication, SentinelSettings, Tls};
use crate::status::CacheBusStatus;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A cache and event bus: a primary, its replicas and Sentinels, and the contract of the services that use them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "cachebus.dev",
    version = "v1alpha1",
    kind = "CacheBus",
    plural = "cachebuses",
    shortname = "cb",
    category = "all",
    namespaced,
    status = "CacheBusStatus",
    derive = "PartialEq",
    doc = "A cache and event bus: a primary, its replicas and Sentinels, and the contract of the services that use them.",
    validation = rules::name(),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Primary", type_ = "string", json_path = ".status.topology.primary"),
    printcolumn(name = "Replicas", type_ = "string", json_path = ".status.replicas.summary"),
    printcolumn(name = "Sentinels", type_ = "string", json_path = ".status.sentinels.summary"),
    printcolumn(name = "Engine", type_ = "string", json_path = ".status.engineVersion"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1),
    printcolumn(name = "Rollout", type_ = "string", json_path = ".status.conditions[?(@.type==\"RolloutComplete\")].reason", priority = 1),
    printcolumn(name = "Failover", type_ = "date", json_path = ".status.lastFailover.finishedAt", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::memory_leaves_room())]
#[x_kube(validation = rules::backlog_leaves_room())]
#[x_kube(validation = rules::volume_holds_memory())]
#[x_kube(validation = rules::lag_within_down_after())]
#[x_kube(validation = rules::fencing_within_down_after())]
#[x_kube(validation = rules::enough_replicas())]
#[x_kube(validation = rules::quorum_needs_replicas())]
#[x_kube(validation = rules::hibernation_keeps_data())]
#[x_kube(validation = rules::plaintext_ports_differ())]
#[x_kube(validation = rules::declared_keyspaces("read"))]
#[x_kube(validation = rules::declared_keyspaces("write"))]
#[x_kube(validation = rules::declared_channels("publish"))]
#[x_kube(validation = rules::declared_channels("subscribe"))]
#[x_kube(validation = rules::reserved_users())]
#[x_kube(validation = rules::distinct_secrets())]
#[x_kube(validation = rules::storage_grows())]
#[x_kube(validation = rules::engine_kind_stays())]
#[x_kube(validation = rules::engine_version_rises())]
#[x_kube(validation = rules::transport_stays())]
#[x_kube(validation = rules::bootstrap_stays())]
pub struct CacheBusSpec {
    /// The operator leaves the bus as it is, whatever changes: for work by hand. Only the routes and the record go on to follow
    /// the primary that Sentinels make.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// All pods are stopped, and their volumes, Services and Secrets kept. Set it to false to have the bus back as it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hibernated: bool,
    /// The engine's family, version and image.
    #[serde(default)]
    pub engine: Engine,
    /// Replicas besides the primary.
    #[serde(default = "CacheBusSpec::default_replicas")]
    #[schemars(range(min = 0, max = 9))]
    pub replicas: u32,
    /// Port of each data node. Cannot change.
    #[serde(default = "CacheBusSpec::default_port")]
    #[schemars(range(min = 1024, max = 65535))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("port cannot change: clients hold it in their Secrets"))]
    #[x_kube(validation = rules::not_the_agents())]
    pub port: u16,
    /// The Sentinels.
    #[serde(default)]
    pub sentinel: SentinelSettings,
    /// CPU and memory of each data node. Default: memory limit 1.5 times `memory.max` (at least what is requested), as much
    /// requested, 100m CPU requested.
    #[serde(default)]
    pub resources: Resources,
    /// The volume of each data node.
    #[serde(default)]
    pub storage: Storage,
    /// Snapshots and the append-only file.
    #[serde(default)]
    pub persistence: Persistence,
    /// Memory of each data node.
    #[serde(default)]
    pub memory: Memory,
    /// Connections of clients.
    #[serde(default)]
    pub connections: Connections,
    /// Replication between the data nodes.
    #[serde(default)]
    pub replication: Replication,
    /// Further engine directives. What the operator keeps for itself is refused, see the documented list.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub config: BTreeMap<String, String>,
    /// TLS of clients, nodes and Sentinels.
    #[serde(default)]
    pub tls: Tls,
    /// Labels, annotations and placement of the pods.
    #[serde(default)]
    pub pods: PodSettings,
    /// The cache half of the contract.
    #[serde(default)]
    pub cache: Cache,
    /// The event half of the contract.
    #[serde(default)]
    pub events: Events,
    /// The services and their rights.
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub services: Vec<Service>,
    /// From where the bus is reached.
    #[serde(default)]
    pub access: Access,
    /// Backups of the bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Box<BackupSettings>>,
    /// What a new bus begins with, in place of nothing. Can be taken away, and neither changed nor added later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Box<Bootstrap>>,
}

impl CacheBusSpec {
    fn default_replicas() -> u32 {
        2
    }
    fn default_port() -> u16 {
        6379
    }

    /// `min-replicas-to-write`. By default one is demanded where the loss of a replica leaves another; else writes would
    /// stop with it. Where clients confirm writes, as many as they wait for.
    #[must_use]
    pub fn min_replicas_to_write(&self) -> u32 {
        let by_default = match self.replication.durability {
            Durability::Async => u32::from(self.replicas >= 2),
            Durability::Quorum => self.confirming_replicas(),
        };
        self.replication.min_replicas_to_write.unwrap_or(by_default)
    }

    /// Replicas that make a majority of the copies, together with the primary.
    #[must_use]
    pub fn confirming_replicas(&self) -> u32 {
        self.replicas.div_ceil(2)
    }
}
