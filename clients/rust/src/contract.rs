//! The service's part of the contract: `contract.json` of its binding.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::keys::Template;

const VERSION: u64 = 1;

/// A family of keys that the service may use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyspaceSpec {
    /// Its name in the contract.
    pub name: String,
    /// What its keys look like.
    pub template: Template,
    /// How long its values live.
    pub ttl: Duration,
    /// It holds locks, not values.
    pub lock: bool,
    /// The service may write, not only read.
    pub writable: bool,
}

/// One event channel, `<group>:<event>`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelSpec {
    /// Its name.
    pub channel: String,
    /// Its events are kept in a stream until every subscriber has acknowledged them.
    pub durable: bool,
    /// How many of the newest events are kept in a list; 0: none.
    pub history: u32,
    /// How long its stream keeps events.
    pub retention: Duration,
}

impl ChannelSpec {
    /// A channel of this form. `history`: events that are kept, at most 10,000.
    pub fn new(
        channel: impl Into<String>,
        durable: bool,
        history: u32,
        retention: Duration,
    ) -> Self {
        Self {
            channel: channel.into(),
            durable,
            history,
            retention,
        }
    }

    /// Sorted set of the ids of events that were emitted of late.
    pub fn ids_key(&self) -> String {
        self.key("ids")
    }

    /// List of the newest envelopes.
    pub fn history_key(&self) -> String {
        self.key("history")
    }

    /// Stream of durable events.
    pub fn stream_key(&self) -> String {
        self.key("stream")
    }

    /// Stream of the events that a service could not handle.
    pub fn dead_letter_key(&self, service: &str) -> String {
        self.key(&format!("dead:{service}"))
    }

    fn key(&self, what: &str) -> String {
        format!("events:{}:{what}", self.channel)
    }
}

/// What is waited for after a durable event, so that it survives the loss of the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirm {
    /// `Some`: append-only files are waited for (`WAITAOF`), and this many of the primary's own; `None`: `WAIT`.
    pub local: Option<u64>,
    /// How many replicas have to have it.
    pub replicas: u64,
    /// How long the server waits for them.
    pub timeout: Duration,
}

/// All that a service may do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contract {
    /// The service's name: its user, and its consumer group.
    pub service: String,
    /// Whether the cache is to be used. May change at any time.
    pub cache_enabled: bool,
    /// Whether events are to be emitted and consumed. May change at any time.
    pub events_enabled: bool,
    /// `None`: an event is safe when the primary has it.
    pub confirm: Option<Confirm>,
    keyspaces: BTreeMap<String, KeyspaceSpec>,
    publish: BTreeMap<String, ChannelSpec>,
    /// In the order of the contract.
    subscribe: Vec<ChannelSpec>,
}

impl Contract {
    /// Reads `contract.json`; [`Error::Binding`] where it is none. Fields that are not known are left alone.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let version: Version = serde_json::from_slice(json).map_err(|_| no_contract())?;
        if version.version != VERSION {
            return Err(Error::Binding(format!(
                "contract.json is not of version {VERSION}"
            )));
        }
        let document: Document = serde_json::from_slice(json).map_err(|_| no_contract())?;
        document.contract()
    }

    /// The keyspaces that the service may use, by name.
    pub fn keyspaces(&self) -> impl Iterator<Item = &KeyspaceSpec> {
        self.keyspaces.values()
    }

    /// The channels that the service may emit to, by name.
    pub fn publish(&self) -> impl Iterator<Item = &ChannelSpec> {
        self.publish.values()
    }

    /// The channels that the service may listen to, in the order of the contract.
    pub fn subscribe(&self) -> impl Iterator<Item = &ChannelSpec> {
        self.subscribe.iter()
    }

    /// The keyspace of this name; [`Error::Contract`] where the service has none.
    pub fn keyspace(&self, name: &str) -> Result<&KeyspaceSpec> {
        self.keyspaces
            .get(name)
            .ok_or_else(|| self.lacks("has no keyspace", name))
    }

    /// A channel that the service emits to; else [`Error::Contract`].
    pub fn published(&self, channel: &str) -> Result<&ChannelSpec> {
        self.publish
            .get(channel)
            .ok_or_else(|| self.lacks("does not publish", channel))
    }

    /// The channels that a name stands for: one, or all of a group that the service subscribes to; else [`Error::Contract`].
    pub fn subscribed(&self, name: &str) -> Result<Vec<&ChannelSpec>> {
        let named: Vec<_> = self
            .subscribe
            .iter()
            .filter(|spec| spec.channel == name)
            .collect();
        if !named.is_empty() {
            return Ok(named);
        }
        let of_group: Vec<_> = self
            .subscribe
            .iter()
            .filter(|spec| {
                spec.channel
                    .strip_prefix(name)
                    .is_some_and(|event| event.starts_with(':'))
            })
            .collect();
        if of_group.is_empty() {
            return Err(self.lacks("does not subscribe to", name));
        }
        Ok(of_group)
    }

    fn lacks(&self, what: &str, name: &str) -> Error {
        Error::Contract(format!("{} {what} {name}", self.service))
    }
}

fn no_contract() -> Error {
    Error::Binding("contract.json is not a contract".to_owned())
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

#[derive(Deserialize)]
struct Document {
    service: String,
    #[serde(default)]
    durability: DurabilityEntry,
    cache: CacheEntry,
    events: EventsEntry,
}

#[derive(Default, Deserialize)]
struct DurabilityEntry {
    confirm: Option<ConfirmEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfirmEntry {
    command: String,
    #[serde(default)]
    local: u64,
    replicas: u64,
    timeout_ms: u64,
}

#[derive(Deserialize)]
struct CacheEntry {
    enabled: bool,
    keyspaces: Vec<KeyspaceEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyspaceEntry {
    name: String,
    key: String,
    ttl_seconds: u64,
    kind: String,
    access: String,
}

#[derive(Deserialize)]
struct EventsEntry {
    enabled: bool,
    publish: Vec<ChannelEntry>,
    subscribe: Vec<ChannelEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChannelEntry {
    channel: String,
    durable: bool,
    history: u32,
    retention_seconds: u64,
}

impl Document {
    fn contract(self) -> Result<Contract> {
        let keyspaces = self.cache.keyspaces.into_iter().map(KeyspaceEntry::spec);
        let publish = self.events.publish.into_iter().map(ChannelEntry::spec);
        Ok(Contract {
            service: self.service,
            cache_enabled: self.cache.enabled,
            events_enabled: self.events.enabled,
            confirm: self
                .durability
                .confirm
                .map(ConfirmEntry::confirm)
                .transpose()?,
            keyspaces: keyspaces.map(|spec| (spec.name.clone(), spec)).collect(),
            publish: publish.map(|spec| (spec.channel.clone(), spec)).collect(),
            subscribe: self
                .events
                .subscribe
                .into_iter()
                .map(ChannelEntry::spec)
                .collect(),
        })
    }
}

impl ConfirmEntry {
    fn confirm(self) -> Result<Confirm> {
        let local = match self.command.as_str() {
            "WAIT" => None,
            "WAITAOF" => Some(self.local),
            _ => return Err(no_contract()),
        };
        Ok(Confirm {
            local,
            replicas: self.replicas,
            timeout: Duration::from_millis(self.timeout_ms),
        })
    }
}

impl KeyspaceEntry {
    fn spec(self) -> KeyspaceSpec {
        KeyspaceSpec {
            name: self.name,
            template: Template::new(self.key),
            ttl: Duration::from_secs(self.ttl_seconds),
            lock: self.kind == "Lock",
            writable: self.access == "write",
        }
    }
}

impl ChannelEntry {
    fn spec(self) -> ChannelSpec {
        ChannelSpec {
            channel: self.channel,
            durable: self.durable,
            history: self.history,
            retention: Duration::from_secs(self.retention_seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        let channel = |name: &str| json!({"channel": name, "durable": true, "history": 100, "retentionSeconds": 60, "more": 1});
        json!({
            "version": 1,
            "service": "dashboard",
            "durability": {"mode": "async"},
            "cache": {"enabled": true, "keyspaces": [
                {"name": "agent", "key": "agent:{id}", "ttlSeconds": 3600, "kind": "Cache", "access": "read"},
                {"name": "lock", "key": "lock:{resource}", "ttlSeconds": 30, "kind": "Lock", "access": "write"},
            ]},
            "events": {
                "enabled": false,
                "publish": [channel("agent:updated")],
                "subscribe": [channel("task:started"), channel("task:created"), channel("tasks:all")],
            },
        })
    }

    fn read(document: &Value) -> Result<Contract> {
        Contract::parse(document.to_string().as_bytes())
    }

    #[test]
    fn it_says_what_a_service_may_do() {
        let contract = read(&document()).unwrap();
        assert!(contract.cache_enabled && !contract.events_enabled);
        let agent = contract.keyspace("agent").unwrap();
        assert_eq!(agent.ttl, Duration::from_hours(1));
        assert!(!agent.lock && !agent.writable);
        let lock = contract.keyspace("lock").unwrap();
        assert!(lock.lock && lock.writable);
        let error = contract.keyspace("task").unwrap_err();
        assert_eq!(error.to_string(), "dashboard has no keyspace task");
        assert!(contract.published("agent:updated").unwrap().durable);
        assert!(contract.published("agent").is_err());
        assert_eq!(contract.confirm, None);
    }

    #[test]
    fn a_name_stands_for_a_channel_or_a_group() {
        let contract = read(&document()).unwrap();
        let names = |name| -> Vec<_> {
            let channels = contract.subscribed(name).unwrap().into_iter();
            channels.map(|spec| spec.channel.as_str()).collect()
        };
        assert_eq!(names("task:created"), ["task:created"]);
        assert_eq!(names("task"), ["task:started", "task:created"]);
        assert!(contract.subscribed("agent:updated").is_err());
        assert!(contract.subscribed("tas").is_err());
    }

    #[test]
    fn copies_are_waited_for_in_memory_or_in_files() {
        let mut document = document();
        for (command, local, expected) in
            [("WAIT", json!(null), None), ("WAITAOF", json!(1), Some(1))]
        {
            let mut confirm = json!({"command": command, "replicas": 1, "timeoutMs": 1000});
            if !local.is_null() {
                confirm["local"] = local;
            }
            document["durability"]["confirm"] = confirm;
            let confirm = read(&document).unwrap().confirm.unwrap();
            assert_eq!(confirm.local, expected);
            assert_eq!(confirm.timeout, Duration::from_secs(1));
        }
        document["durability"]["confirm"]["command"] = "SET".into();
        assert!(read(&document).is_err());
    }

    #[test]
    fn what_is_no_contract_of_this_version_is_refused() {
        let mut newer = document();
        newer["version"] = 2.into();
        let error = read(&newer).unwrap_err();
        assert_eq!(error.to_string(), "contract.json is not of version 1");
        let mut less = document();
        less["cache"].as_object_mut().unwrap().remove("keyspaces");
        for document in [less, json!([]), json!({"version": 1})] {
            let error = read(&document).unwrap_err();
            assert_eq!(error.to_string(), "contract.json is not a contract");
        }
    }
}
