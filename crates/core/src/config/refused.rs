//! Directives that `spec.config` may not set, and why.

/// A directive, or with a trailing `*` a family of them, that `spec.config` may not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Lower-case name; a trailing `*` stands for any rest.
    pub directive: &'static str,
    /// For people: why, and what to use instead where there is something.
    pub why: &'static str,
}

const fn no(directive: &'static str, why: &'static str) -> Refused {
    Refused { directive, why }
}

const PORTS: &str = "the ports follow from spec.port, spec.sentinel.port and spec.tls";
const TLS: &str = "TLS follows from spec.tls; certificates come from the bus's own authority";
const TOPOLOGY: &str = "Sentinels and the operator decide who follows whom";
const USERS: &str = "users and passwords follow from spec.services";
const FILES: &str = "the agent has to find the files where it put them";
const PROCESS: &str = "the agent runs the server and passes its log on";
const ANNOUNCED: &str = "each pod announces its own DNS name";
const CODE: &str = "it would load or run code that the bus does not know";
const COMMANDS: &str = "it would open commands that reach beyond the data";
const COPIES: &str =
    "copies that differ, or that take writes of their own, would be lost at the next failover";
const PERSISTENCE: &str = "use spec.persistence";
const REPLICATION: &str = "use spec.replication";

/// Every directive that `spec.config` may not set.
pub const REFUSED: &[Refused] = &[
    no("acl-pubsub-default", USERS),
    no("aclfile", USERS),
    no("appenddirname", FILES),
    no("appendfilename", FILES),
    no("appendfsync", PERSISTENCE),
    no("appendonly", PERSISTENCE),
    no("bind", "every pod listens on its own address"),
    no(
        "bind-source-addr",
        "every pod connects from its own address",
    ),
    no("cluster-*", "cluster mode is another topology"),
    no("daemonize", PROCESS),
    no("dbfilename", FILES),
    no("dir", FILES),
    no("enable-*", COMMANDS),
    no("include", FILES),
    no("loadmodule", CODE),
    no("logfile", PROCESS),
    no("masterauth", USERS),
    no("masteruser", USERS),
    no("maxclients", "use spec.connections.maxClients"),
    no("maxmemory", "use spec.memory.max"),
    no("maxmemory-policy", "use spec.memory.policy"),
    no("min-replicas-max-lag", "use spec.replication.maxLag"),
    no(
        "min-replicas-to-write",
        "use spec.replication.minReplicasToWrite",
    ),
    no("min-slaves-*", REPLICATION),
    no("module", CODE),
    no(
        "oom-score-adj*",
        "the kubelet sets it by the pod's quality of service",
    ),
    no("pidfile", PROCESS),
    no("port", PORTS),
    no("primaryauth", USERS),
    no("primaryuser", USERS),
    no(
        "protected-mode",
        "users and network policies protect the bus, and protected mode stays on besides",
    ),
    no("rdb-del-sync-files", FILES),
    no(
        "rename-command",
        "rights of users decide over commands; agents and Sentinels need their names",
    ),
    no("repl-backlog-size", "use spec.replication.backlogSize"),
    no("replica-announce*", ANNOUNCED),
    no("replica-ignore-disk-write-errors", COPIES),
    no("replica-ignore-maxmemory", COPIES),
    no("replica-priority", TOPOLOGY),
    no("replica-read-only", COPIES),
    no(
        "replica-serve-stale-data",
        "a copy that waits for its primary has to answer the agent",
    ),
    no("replicaof", TOPOLOGY),
    no("requirepass", USERS),
    no("save", "use spec.persistence.rdb"),
    no("sentinel*", "use spec.sentinel"),
    no("set-proc-title", PROCESS),
    no("shutdown-on-*", PROCESS),
    no("slave-*", "use the name with replica, where it is allowed"),
    no("slaveof", TOPOLOGY),
    no("supervised", PROCESS),
    no("syslog-*", PROCESS),
    no("tcp-backlog", "use spec.connections.tcpBacklog"),
    no("tcp-keepalive", "use spec.connections.tcpKeepalive"),
    no("timeout", "use spec.connections.timeout"),
    no("tls-*", TLS),
    no("unixsocket*", PROCESS),
    no("user", USERS),
];

/// The entry that refuses this directive, whatever the case of its letters.
#[must_use]
pub fn refused(directive: &str) -> Option<&'static Refused> {
    let name = directive.to_ascii_lowercase();
    REFUSED
        .iter()
        .find(|refused| match refused.directive.strip_suffix('*') {
            Some(family) => name.starts_with(family),
            None => name == refused.directive,
        })
}
