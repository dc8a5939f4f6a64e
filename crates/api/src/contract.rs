//! The contract of the bus: cache keyspaces, event channels, and what each service may do with them.

use crate::{Duration, rules};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the keys of a keyspace are for; it decides which commands its users get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KeyspaceKind {
    /// Values that can be made again.
    #[default]
    Cache,
    /// Locks: set if absent, compare and delete, fencing counters.
    Lock,
}

/// A family of keys with one template and one lifetime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::between("ttl", "1s", "87600h"))]
pub struct Keyspace {
    /// Name by which services refer to it.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]*$"), length(min = 1, max = 40))]
    pub name: String,
    /// Key template: literal parts and `{placeholders}`, joined by `:`; a placeholder stands for one non-empty part
    /// without `:`. The first part is literal. `agent:{id}`.
    #[schemars(
        regex(pattern = r"^[a-zA-Z0-9_.-]+(:([a-zA-Z0-9_.-]+|\{[a-z][a-z0-9_]*\}))*$"),
        length(min = 1, max = 120)
    )]
    pub key: String,
    /// Lifetime of each value.
    pub ttl: Duration,
    /// What the keys are for.
    #[serde(default)]
    pub kind: KeyspaceKind,
}

/// The cache half of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("self.keyspaces.all(k, !k.key.startsWith('events:') && !k.key.startsWith('__'))").message("keys below events: and __ belong to the bus").field_path(".keyspaces"))]
pub struct Cache {
    /// Whether services use the cache; they read it from their contract.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The keyspaces.
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub keyspaces: Vec<Keyspace>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: true,
            keyspaces: Vec::new(),
        }
    }
}

/// A group of event channels, `<name>:<event>` each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::between("retention", "1s", "87600h"))]
pub struct Channel {
    /// Name of the group.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]*$"), length(min = 1, max = 40))]
    pub name: String,
    /// Events of the group.
    #[schemars(
        length(min = 1, max = 32),
        inner(regex(pattern = r"^[a-z][a-z0-9_]*$"), length(min = 1, max = 40)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub events: Vec<String>,
    /// Whether events are kept in a stream until every subscriber has acknowledged them.
    #[serde(default)]
    pub durable: bool,
    /// Newest events kept for each channel.
    #[serde(default = "Channel::default_history")]
    #[schemars(range(min = 0, max = 10_000))]
    pub history: u32,
    /// How long a durable event is kept.
    #[serde(default = "Channel::default_retention")]
    pub retention: Duration,
}

impl Channel {
    fn default_history() -> u32 {
        100
    }
    fn default_retention() -> Duration {
        Duration::text("24h")
    }
}

/// The event half of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// Whether services use the event bus; they read it from their contract.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The channel groups.
    #[serde(default)]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub channels: Vec<Channel>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            enabled: true,
            channels: Vec::new(),
        }
    }
}

/// A service's use of the cache, and its rights on keyspaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheAccess {
    /// Whether the service uses the cache, as long as `spec.cache.enabled` is true; it reads it from its contract. Its rights stay.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Keyspaces that it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 40)), extend("x-kubernetes-list-type" = "set"))]
    pub read: Vec<String>,
    /// Keyspaces that it writes; writing includes reading.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 40)), extend("x-kubernetes-list-type" = "set"))]
    pub write: Vec<String>,
}

impl Default for CacheAccess {
    fn default() -> Self {
        Self {
            enabled: true,
            read: Vec::new(),
            write: Vec::new(),
        }
    }
}

/// A service's use of the event bus. What it publishes and subscribes to stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventAccess {
    /// Whether the service uses the event bus, as long as `spec.events.enabled` is true; it reads it from its contract. Its rights
    /// stay, and so do its consumer groups: durable events are kept for it.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl Default for EventAccess {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// One service: it gets a user of its own, and a Secret `<bus>-binding-<name>` with all it needs to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Name of the service, and of its user.
    #[schemars(
        regex(pattern = r"^[a-z]([a-z0-9_-]*[a-z0-9])?$"),
        length(min = 1, max = 40)
    )]
    pub name: String,
    /// Its use of the cache, and its rights on keyspaces.
    #[serde(default)]
    pub cache: CacheAccess,
    /// Its use of the event bus.
    #[serde(default)]
    pub events: EventAccess,
    /// Channels that it publishes: a whole group (`task`) or one event (`task:completed`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 81)), extend("x-kubernetes-list-type" = "set"))]
    pub publish: Vec<String>,
    /// Channels that it subscribes to: a whole group or one event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 81)), extend("x-kubernetes-list-type" = "set"))]
    pub subscribe: Vec<String>,
}

fn yes() -> bool {
    true
}
