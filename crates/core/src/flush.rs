//! Emptying keyspaces of the cache, by a person's request: which are meant, which keys are theirs, and which orders an agent obeys.
//!
//! Never is a key removed that is of another keyspace which the contract declared when it was ordered, of locks, of the event bus, or
//! of none.

use crate::acl::Template;
use crate::keyspaces::Keyspaces;
use crate::protocol::{AgentConfig, FlushOrder, Marker, Refusal};
use crate::seal::{for_this_bus, of_this_epoch};
use cachebus_api::CacheBusSpec;
use cachebus_api::contract::{Channel, Keyspace, KeyspaceKind};

/// Keys that one call of `SCAN` looks at, about: the server does nothing else meanwhile.
pub const LOOKED_AT: usize = 512;
/// Calls of `SCAN` in one go, at most: a keyspace of many keys must not hold up other looks at the server.
pub const AT_ONCE: usize = 64;

/// What stands before the name of a service whose keyspaces are meant.
const OF_SERVICE: &str = "service:";

/// Reasons of a refused order that are not those of [other orders](crate::seal::refusal).
pub mod refusal {
    pub use crate::handover::refusal::NOT_LEADING;
    /// The agent was ordered a later flush since.
    pub const SUPERSEDED: &str = "Superseded";
}

/// The keyspaces that a request names, in the order of the spec: names of keyspaces, separated by commas, and `service:<name>` for all
/// of the cache that a service writes.
///
/// # Errors
/// Why none of it is carried out, for people: a name that is none of a keyspace, or of one that holds something else than values which
/// can be made again.
pub fn named(asked: &str, spec: &CacheBusSpec) -> Result<Vec<String>, String> {
    let words: Vec<&str> = asked
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        return Err("it names no keyspace".to_owned());
    }
    let mut names = Vec::new();
    for word in words {
        match word.strip_prefix(OF_SERVICE) {
            Some(service) => names.extend(of_service(service, spec)?),
            None => names.push(of_cache(word, spec)?),
        }
    }
    let keyspaces = caches(spec).map(|keyspace| &keyspace.name);
    Ok(keyspaces
        .filter(|name| names.contains(&name.as_str()))
        .cloned()
        .collect())
}

/// Whether a keyspace may be emptied.
pub(crate) fn may_be_emptied(keyspace: &Keyspace) -> bool {
    keyspace.kind == KeyspaceKind::Cache
}

/// The keyspaces of a contract that may be emptied.
pub(crate) fn caches(spec: &CacheBusSpec) -> impl Iterator<Item = &Keyspace> {
    let keyspaces = spec.cache.keyspaces.iter();
    keyspaces.filter(|keyspace| may_be_emptied(keyspace))
}

fn of_cache<'a>(name: &'a str, spec: &CacheBusSpec) -> Result<&'a str, String> {
    let mut keyspaces = spec.cache.keyspaces.iter();
    match keyspaces.find(|keyspace| keyspace.name == name) {
        Some(keyspace) if may_be_emptied(keyspace) => Ok(name),
        Some(_) => Err(format!(
            "{name} holds locks: who has one would share it with the next, and the numbers by which late ones are told would begin anew"
        )),
        None if spec.events.channels.iter().any(|group| is_of(group, name)) => Err(format!(
            "{name} is a channel: its events cannot be made again"
        )),
        None => Err(format!("spec.cache.keyspaces declares no {name}")),
    }
}

/// Whether a name is that of the group, or of one of its channels.
fn is_of(group: &Channel, name: &str) -> bool {
    let mut events = group.events.iter();
    name == group.name || events.any(|event| name == format!("{}:{event}", group.name))
}

fn of_service<'a>(name: &str, spec: &'a CacheBusSpec) -> Result<Vec<&'a str>, String> {
    let mut services = spec.services.iter();
    let Some(service) = services.find(|service| service.name == name) else {
        return Err(format!("spec.services declares no {name}"));
    };
    let names: Vec<&str> = caches(spec)
        .map(|keyspace| keyspace.name.as_str())
        .filter(|keyspace| service.cache.write.iter().any(|name| name == keyspace))
        .collect();
    if names.is_empty() {
        return Err(format!(
            "service {name} writes no keyspace of the cache: locks are not flushed"
        ));
    }
    Ok(names)
}

/// The keys that an order is about.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Those to be emptied come first.
    keyspaces: Keyspaces,
    emptied: usize,
    whole: Vec<String>,
    pattern: Option<String>,
}

impl Keys {
    /// The keys of an order.
    #[must_use]
    pub fn of(order: &FlushOrder) -> Self {
        let templates: Vec<(&String, Template)> = order
            .keys
            .iter()
            .map(|key| (key, Template::parse(key)))
            .collect();
        let whole = templates.iter().filter(|(_, template)| template.is_whole());
        let all = order.keys.iter().chain(&order.others);
        Self {
            whole: whole.map(|(key, _)| (*key).clone()).collect(),
            pattern: Template::pattern(templates.iter().map(|(_, template)| template)),
            keyspaces: Keyspaces::new(all.map(String::as_str)),
            emptied: order.keys.len(),
        }
    }

    /// Keys that are the whole of a keyspace.
    #[must_use]
    pub fn whole(&self) -> &[String] {
        &self.whole
    }

    /// A pattern for `SCAN` that all others match, and keys beside them; `None`: there are no others.
    #[must_use]
    pub fn pattern(&self) -> Option<&str> {
        self.pattern.as_deref()
    }

    /// Whether a key is to be removed.
    #[must_use]
    pub fn include(&self, key: &[u8]) -> bool {
        let place = self.keyspaces.of(key);
        place.is_some_and(|place| place < self.emptied)
    }
}

/// Judges an order by what the pod knows without asking anybody. `last`: number of the last one that it obeyed.
///
/// # Errors
/// The [`Refusal`] to send back, its reason one of [`refusal`] or of [`crate::seal::refusal`].
pub fn judge_order(
    order: &FlushOrder,
    config: &AgentConfig,
    pod: &str,
    marker: Option<&Marker>,
    leads: bool,
    last: Option<u64>,
) -> Result<(), Refusal> {
    for_this_bus(&order.uid, config)?;
    of_this_epoch(order.epoch, config, marker)?;
    if !leads {
        return Err(Refusal::new(
            refusal::NOT_LEADING,
            format!("{pod} does not lead"),
        ));
    }
    match last {
        Some(last) if order.number < last => {
            let message = format!("flush {last} was ordered after flush {}", order.number);
            Err(Refusal::new(refusal::SUPERSEDED, message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
