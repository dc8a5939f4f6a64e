//! The bus's own users on the data nodes: each what its owner was seen to send, and no more.

use super::file::Line;
use super::selector::Selector;
use super::template::{self, Template};
use crate::bus::Bus;
use crate::credentials::{OPERATOR, PROBE, REPLICATION, SENTINEL};
use crate::flush::caches;
use cachebus_api::CacheBusSpec;
use cachebus_api::contract::Keyspace;
use std::collections::BTreeSet;

/// What the agent sends to its own server and, in handing the lead over, to the others.
const OPERATE: &[&str] = &[
    "acl|deluser",
    "acl|list",
    "acl|setuser",
    "client|kill",
    "client|pause",
    "client|unpause",
    "config|get",
    "config|set",
    "function|list",
    "function|load",
    "info",
    "ping",
    "replicaof",
    "role",
    "scan",
    "time",
];
/// What the agent of the pod that leads does about streams of durable channels: their consumer groups, and what `cachebus_backlog` and
/// `cachebus_trim` of the function library need.
const KEEP_STREAMS: &[&str] = &[
    "fcall",
    "fcall_ro",
    "hget",
    "hincrby",
    "type",
    "xack",
    "xgroup|create",
    "xgroup|delconsumer",
    "xgroup|destroy",
    "xinfo|consumers",
    "xinfo|groups",
    "xlen",
    "xpending",
    "xrange",
    "xtrim",
];
/// The streams, and what was lost of each. No keyspace of a cache begins like them.
const STREAMS: [&str; 2] = ["events:*:stream", "events:*:lost"];
/// What the agent of the pod that leads removes keys of the cache with, where that is asked for.
const FLUSH: &[&str] = &["unlink"];
/// What a replica sends to its primary.
const REPLICATE: &[&str] = &["ping", "psync", "replconf"];
/// What a Sentinel sends to data nodes, a failover included. Not what Valkey's `SENTINEL FAILOVER … COORDINATED` would take
/// (`failover`, and to hold clients' writes): nothing here asks for it, and without them it does nothing.
const WATCH: &[&str] = &[
    "client|kill",
    "client|setname",
    "config|rewrite",
    "exec",
    "info",
    "multi",
    "ping",
    "publish",
    "script|kill",
    "slaveof",
    "subscribe",
];
/// What tells whether a server answers.
const LOOK: &[&str] = &["info", "ping", "role"];

/// The Sentinels' own channel, on data nodes and Sentinels alike. Who may publish there can move the primary.
pub(super) const HELLO_CHANNEL: &str = "__sentinel__:hello";

/// The internal users' rules without their passwords.
pub(super) fn lines(bus: &Bus) -> [Line; 4] {
    let streams = Selector::new(&[KEEP_STREAMS]).writing(STREAMS.map(str::to_owned));
    let cache = Selector::new(&[FLUSH]).writing(cache_keys(&bus.spec));
    [
        Line::new(OPERATOR)
            .commands(OPERATE)
            .selector(&streams)
            .selector(&cache),
        Line::new(REPLICATION).commands(REPLICATE),
        Line::new(SENTINEL)
            .channels(&[HELLO_CHANNEL])
            .commands(WATCH),
        Line::new(PROBE).commands(LOOK),
    ]
}

/// The keys of the keyspaces that may be emptied, and no others.
fn cache_keys(spec: &CacheBusSpec) -> BTreeSet<String> {
    let parse = |keyspace: &Keyspace| Template::parse(&keyspace.key);
    let all: Vec<Template> = spec.cache.keyspaces.iter().map(parse).collect();
    let emptied: Vec<Template> = caches(spec).map(parse).collect();
    template::globs(
        &emptied.iter().collect::<Vec<_>>(),
        &all.iter().collect::<Vec<_>>(),
    )
}
