//! The bus's own users on the data nodes: each what its owner was seen to send, and no more.

use super::file::Line;
use crate::credentials::{OPERATOR, PROBE, REPLICATION, SENTINEL};

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
];
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
pub(super) fn lines() -> [Line; 4] {
    [
        Line::new(OPERATOR).commands(OPERATE),
        Line::new(REPLICATION).commands(REPLICATE),
        Line::new(SENTINEL)
            .channels(&[HELLO_CHANNEL])
            .commands(WATCH),
        Line::new(PROBE).commands(LOOK),
    ]
}
