//! The user of a service on the data nodes, compiled from its rights in the contract.

use super::file::Line;
use super::glob::literal;
use super::selector::Selector;
use super::template::{self, Template};
use crate::bus::Bus;
use cachebus_api::contract::{Channel, Keyspace, KeyspaceKind, Service};
use std::collections::BTreeSet;

/// What clients send when they connect, and what touches neither keys nor channels. `role`: clients that find the primary
/// through Sentinel make sure of it. (`AUTH`, `HELLO`, `QUIT` and `RESET` are everybody's.)
const CONNECTION: &[&str] = &[
    "client|getname",
    "client|id",
    "client|info",
    "client|setname",
    "discard",
    "echo",
    "exec",
    "multi",
    "ping",
    "role",
    "time",
    "unwatch",
    "wait",
];
const READ: &[&str] = &[
    "exists",
    "expiretime",
    "get",
    "getrange",
    "mget",
    "pexpiretime",
    "pttl",
    "strlen",
    "ttl",
    "type",
    "watch",
];
/// `fcall`: removing values and telling of it in one step (`cachebus_invalidate`).
const WRITE: &[&str] = &[
    "del",
    "expire",
    "expireat",
    "fcall",
    "getdel",
    "getex",
    "mset",
    "pexpire",
    "pexpireat",
    "psetex",
    "set",
    "setex",
    "setnx",
    "unlink",
];
/// Set if absent, compare and delete or extend in a script, fencing counters. Stock clients name a script by its hash and load it
/// where the server does not know it: without `script|load` their locks could not be released.
const LOCK: &[&str] = &[
    "del",
    "eval",
    "evalsha",
    "fcall",
    "get",
    "incr",
    "incrby",
    "pexpire",
    "pttl",
    "script|load",
    "set",
];
/// Publish, keep the newest, keep in the stream, and remember ids for a while (`cachebus_emit`). `type`: for a library of version 1.0,
/// which an older agent may still serve.
const PUBLISH: &[&str] = &[
    "fcall",
    "lpush",
    "ltrim",
    "publish",
    "type",
    "xadd",
    "zadd",
    "zcount",
    "zremrangebyrank",
    "zscore",
];
const SUBSCRIBE: &[&str] = &["psubscribe", "punsubscribe", "subscribe", "unsubscribe"];
/// Replay what was kept.
const REPLAY: &[&str] = &["lrange", "xlen", "xrange", "xread", "xrevrange"];
const CONSUME: &[&str] = &[
    "xack",
    "xautoclaim",
    "xclaim",
    "xgroup|create",
    "xinfo",
    "xlen",
    "xpending",
    "xrange",
    "xreadgroup",
];
const DEAD_LETTERS: &[&str] = &["xadd", "xdel", "xlen", "xrange"];

/// The user's rules without its password.
pub(super) fn line(bus: &Bus, service: &Service) -> Line {
    let newer = [
        (bus.engine.client_setinfo, "client|setinfo"),
        (bus.engine.waitaof, "waitaof"),
    ];
    let newer: Vec<&str> = newer
        .into_iter()
        .filter_map(|(has, command)| has.then_some(command))
        .collect();
    let line = Line::new(&service.name)
        .commands(CONNECTION)
        .commands(&newer);
    let cache = cache_rights(&bus.spec.cache.keyspaces, service);
    let events = event_rights(&bus.spec.events.channels, service);
    cache.iter().chain(&events).fold(line, Line::selector)
}

fn cache_rights(keyspaces: &[Keyspace], service: &Service) -> [Selector; 3] {
    let templates: Vec<(&Keyspace, Template)> = keyspaces
        .iter()
        .map(|keyspace| (keyspace, Template::parse(&keyspace.key)))
        .collect();
    let globs = |granted: &dyn Fn(&Keyspace) -> bool| {
        let granted: Vec<&Template> = templates
            .iter()
            .filter(|(keyspace, _)| granted(keyspace))
            .map(|(_, template)| template)
            .collect();
        let all: Vec<&Template> = templates.iter().map(|(_, template)| template).collect();
        template::globs(&granted, &all)
    };
    let (read, write) = (&service.cache.read, &service.cache.write);
    let writes = |keyspace: &Keyspace| write.contains(&keyspace.name);
    let reads = |keyspace: &Keyspace| read.contains(&keyspace.name) || writes(keyspace);
    let is = |kind| move |keyspace: &Keyspace| keyspace.kind == kind && writes(keyspace);
    [
        Selector::new(&[READ]).reading(globs(&reads)),
        Selector::new(&[READ, WRITE]).writing(globs(&is(KeyspaceKind::Cache))),
        Selector::new(&[LOCK]).writing(globs(&is(KeyspaceKind::Lock))),
    ]
}

fn event_rights(groups: &[Channel], service: &Service) -> [Selector; 5] {
    let published = granted(groups, &service.publish);
    let subscribed = granted(groups, &service.subscribe);
    let whole_groups = groups
        .iter()
        .filter(|group| service.subscribe.contains(&group.name))
        .map(|group| format!("{}:*", group.name));
    let kept = |events: &[Event<'_>]| -> BTreeSet<String> {
        let histories = events.iter().filter_map(Event::history);
        histories
            .chain(events.iter().filter_map(Event::stream))
            .collect()
    };
    let streams = subscribed.iter().filter_map(Event::stream);
    let dead_letters = subscribed
        .iter()
        .filter_map(|event| event.dead_letters(&service.name));
    [
        Selector::new(&[PUBLISH])
            .writing(kept(&published))
            .writing(published.iter().map(Event::ids))
            .channels(published.iter().map(Event::channel)),
        Selector::new(&[SUBSCRIBE])
            .channels(subscribed.iter().map(Event::channel).chain(whole_groups)),
        Selector::new(&[REPLAY]).reading(kept(&subscribed)),
        Selector::new(&[CONSUME]).writing(streams),
        Selector::new(&[DEAD_LETTERS]).writing(dead_letters),
    ]
}

/// One event of a group.
struct Event<'a> {
    group: &'a Channel,
    name: &'a str,
}

/// The events that a list of groups (`task`) and single events (`task:completed`) names.
fn granted<'a>(groups: &'a [Channel], list: &[String]) -> Vec<Event<'a>> {
    groups
        .iter()
        .flat_map(|group| group.events.iter().map(move |name| Event { group, name }))
        .filter(|event| {
            list.iter()
                .any(|entry| *entry == event.group.name || *entry == event.channel())
        })
        .collect()
}

impl Event<'_> {
    fn channel(&self) -> String {
        format!("{}:{}", self.group.name, self.name)
    }

    fn key(&self, what: &str) -> String {
        literal(&format!("events:{}:{what}", self.channel()))
    }

    /// The ids of the events that were emitted of late, by which a repetition is known.
    fn ids(&self) -> String {
        self.key("ids")
    }

    /// The list of the newest events, where any are kept.
    fn history(&self) -> Option<String> {
        (self.group.history > 0).then(|| self.key("history"))
    }

    /// The stream of a durable channel.
    fn stream(&self) -> Option<String> {
        self.group.durable.then(|| self.key("stream"))
    }

    /// Where a service puts what it cannot handle.
    fn dead_letters(&self, service: &str) -> Option<String> {
        self.group
            .durable
            .then(|| self.key(&format!("dead:{service}")))
    }
}
