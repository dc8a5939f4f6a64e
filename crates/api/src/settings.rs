//! Typed engine settings: memory, connections, replication, Sentinel, TLS.

use crate::pods::Resources;
use crate::rules;
use crate::{Bytes, Duration};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the engine does when memory is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvictionPolicy {
    /// Refuses writes.
    Noeviction,
    /// Least recently used of all keys.
    #[default]
    AllkeysLru,
    /// Least frequently used of all keys.
    AllkeysLfu,
    /// Any key.
    AllkeysRandom,
    /// Least recently used of the keys with a TTL.
    VolatileLru,
    /// Least frequently used of the keys with a TTL.
    VolatileLfu,
    /// Any key with a TTL.
    VolatileRandom,
    /// Shortest TTL first.
    VolatileTtl,
}

/// Memory of each data node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("quantity(self.max).compareTo(quantity('16Mi')) >= 0").message("memory.max must be at least 16Mi").field_path(".max"))]
pub struct Memory {
    /// `maxmemory`: bytes for data. Must leave a fifth of the container's memory limit free for buffers and forks. Set live; where
    /// `resources` is left to its default, which follows it, the data pods are restarted one by one.
    #[serde(default = "Memory::default_max")]
    pub max: Bytes,
    /// `maxmemory-policy`.
    #[serde(default)]
    pub policy: EvictionPolicy,
}

impl Memory {
    fn default_max() -> Bytes {
        Bytes::text("2Gi")
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            max: Self::default_max(),
            policy: EvictionPolicy::default(),
        }
    }
}

/// Connections of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::whole_seconds("timeout", "0s", "8760h"))]
#[x_kube(validation = rules::whole_seconds("tcpKeepalive", "0s", "8760h"))]
pub struct Connections {
    /// `timeout`: an idle client is disconnected after this time; `0s`: never. Whole seconds.
    #[serde(default = "Connections::default_timeout")]
    pub timeout: Duration,
    /// `tcp-keepalive`: time between probes on an idle connection; `0s`: none are sent. Whole seconds.
    #[serde(default = "Connections::default_keepalive")]
    pub tcp_keepalive: Duration,
    /// `tcp-backlog`: connections that may wait to be accepted. Takes effect at a restart.
    #[serde(default = "Connections::default_backlog")]
    #[schemars(range(min = 1, max = 65535))]
    pub tcp_backlog: u32,
    /// `maxclients`: most connections at once.
    #[serde(default = "Connections::default_max_clients")]
    #[schemars(range(min = 100, max = 100_000))]
    pub max_clients: u32,
}

impl Connections {
    fn default_timeout() -> Duration {
        Duration::seconds(300)
    }
    fn default_keepalive() -> Duration {
        Duration::seconds(60)
    }
    fn default_backlog() -> u32 {
        511
    }
    fn default_max_clients() -> u32 {
        10_000
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            timeout: Self::default_timeout(),
            tcp_keepalive: Self::default_keepalive(),
            tcp_backlog: Self::default_backlog(),
            max_clients: Self::default_max_clients(),
        }
    }
}

/// When a write counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Durability {
    /// When the primary has it.
    #[default]
    Async,
    /// When a majority of the copies has it: `contract.json` tells clients to wait for that after each write. Needs two
    /// replicas or more.
    Quorum,
}

/// Replication between the data nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::whole_seconds("maxLag", "1s", "1h"))]
pub struct Replication {
    /// When a write counts as done.
    #[serde(default)]
    pub durability: Durability,
    /// `min-replicas-to-write`: the primary refuses writes with fewer replicas in sync, which bounds what an isolated
    /// primary can take and lose. Default: 1 with two or more replicas, else 0; with `durability: Quorum` as many as make a
    /// majority of the copies together with the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9))]
    pub min_replicas_to_write: Option<u32>,
    /// `min-replicas-max-lag`: a replica that was silent for longer counts as out of sync. Whole seconds.
    #[serde(default = "Replication::default_max_lag")]
    pub max_lag: Duration,
    /// How long the primary takes writes after a majority of Sentinels last answered it. Then it refuses them while any replica
    /// is missing, since that one may be made primary: what it took would be lost. Without replicas it never does.
    /// Default: 3s, or `sentinel.downAfter` where that is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fencing_window: Option<Duration>,
    /// `repl-backlog-size`: writes kept for replicas that were away for a moment. It counts towards `memory.max`.
    /// Default: 64Mi, or an eighth of `memory.max` where that is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog_size: Option<Bytes>,
}

impl Replication {
    fn default_max_lag() -> Duration {
        Duration::seconds(5)
    }
}

impl Default for Replication {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            min_replicas_to_write: None,
            max_lag: Self::default_max_lag(),
            fencing_window: None,
            backlog_size: None,
        }
    }
}

/// The Sentinels, which decide unplanned failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.replicas % 2 == 1").message("sentinel.replicas must be odd: an even number adds a node that can fail and no vote").field_path(".replicas"))]
#[x_kube(validation = rules::between("downAfter", "1s", "1h"))]
#[x_kube(validation = rules::between("failoverTimeout", "1s", "24h"))]
#[x_kube(validation = Rule::new("duration(self.failoverTimeout) >= duration(self.downAfter)").message("sentinel.failoverTimeout must not be shorter than sentinel.downAfter").field_path(".failoverTimeout"))]
pub struct SentinelSettings {
    /// Number of Sentinels: odd, at least 3. A majority of them decides. A change is carried out one Sentinel at a time.
    #[serde(default = "SentinelSettings::default_replicas")]
    #[schemars(range(min = 3, max = 9))]
    pub replicas: u32,
    /// `down-after-milliseconds`: silence after which a Sentinel holds the primary for down.
    #[serde(default = "SentinelSettings::default_down_after")]
    pub down_after: Duration,
    /// `failover-timeout`: a failover that takes longer is tried again.
    #[serde(default = "SentinelSettings::default_failover_timeout")]
    pub failover_timeout: Duration,
    /// `parallel-syncs`: replicas that may resynchronise with a new primary at once.
    #[serde(default = "SentinelSettings::default_parallel_syncs")]
    #[schemars(range(min = 1, max = 9))]
    pub parallel_syncs: u32,
    /// Port of each Sentinel. Cannot change.
    #[serde(default = "SentinelSettings::default_port")]
    #[schemars(range(min = 1024, max = 65535))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("sentinel.port cannot change: clients hold it in their Secrets"))]
    #[x_kube(validation = rules::not_the_agents())]
    pub port: u16,
    /// Size of each Sentinel's volume, which holds its votes and epochs. Never shrinks.
    #[serde(default = "SentinelSettings::default_storage_size")]
    #[x_kube(validation = Rule::new("quantity(self).compareTo(quantity(oldSelf)) >= 0").message("sentinel.storageSize cannot shrink"))]
    pub storage_size: Bytes,
    /// CPU and memory of each Sentinel.
    #[serde(default)]
    pub resources: Resources,
}

impl SentinelSettings {
    fn default_replicas() -> u32 {
        3
    }
    fn default_down_after() -> Duration {
        Duration::seconds(5)
    }
    fn default_failover_timeout() -> Duration {
        Duration::seconds(60)
    }
    fn default_parallel_syncs() -> u32 {
        1
    }
    fn default_port() -> u16 {
        26379
    }
    fn default_storage_size() -> Bytes {
        Bytes::text("1Gi")
    }
}

impl Default for SentinelSettings {
    fn default() -> Self {
        Self {
            replicas: Self::default_replicas(),
            down_after: Self::default_down_after(),
            failover_timeout: Self::default_failover_timeout(),
            parallel_syncs: Self::default_parallel_syncs(),
            port: Self::default_port(),
            storage_size: Self::default_storage_size(),
            resources: Resources::default(),
        }
    }
}

/// Whether clients and nodes speak TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// TLS on every port but that of probes and metrics; plain text is refused.
    #[default]
    Required,
    /// TLS on the bus's ports, between the nodes and between the Sentinels; plain text on `plaintextPort` besides.
    Optional,
    /// Plain text between clients and nodes. The operator still reaches its agents by mutual TLS. A bus cannot change from or
    /// to this.
    Disabled,
}

/// TLS of the bus. Certificates come from the bus's own authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Whether clients and nodes speak TLS.
    #[serde(default)]
    pub mode: TlsMode,
    /// Port for plain text of the data nodes in mode `Optional`.
    #[serde(default = "Tls::default_plaintext_port")]
    #[schemars(range(min = 1024, max = 65535))]
    #[x_kube(validation = rules::not_the_agents())]
    pub plaintext_port: u16,
    /// Port for plain text of the Sentinels in mode `Optional`.
    #[serde(default = "Tls::default_sentinel_plaintext_port")]
    #[schemars(range(min = 1024, max = 65535))]
    #[x_kube(validation = rules::not_the_agents())]
    pub sentinel_plaintext_port: u16,
}

impl Tls {
    fn default_plaintext_port() -> u16 {
        6380
    }
    fn default_sentinel_plaintext_port() -> u16 {
        26380
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            mode: TlsMode::default(),
            plaintext_port: Self::default_plaintext_port(),
            sentinel_plaintext_port: Self::default_sentinel_plaintext_port(),
        }
    }
}
