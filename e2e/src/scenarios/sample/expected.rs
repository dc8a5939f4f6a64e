//! What `CONFIG GET` has to print, written by hand from the requirements and the engines' manuals: how the operator compiles a spec,
//! and how it compares, has no part in it.

/// Directives with their values.
pub type Directives = &'static [(&'static str, &'static str)];

/// On every data node of every bus with TLS.
pub const ALWAYS: Directives = &[
    ("acl-pubsub-default", "resetchannels"),
    ("aclfile", "/etc/cachebus/acl/redis.acl"),
    ("appenddirname", "appendonlydir"),
    ("appendfilename", "appendonly.aof"),
    ("bind", "* -::*"),
    ("cluster-enabled", "no"),
    ("crash-memcheck-enabled", "no"),
    ("dbfilename", "dump.rdb"),
    ("dir", "/data"),
    ("enable-debug-command", "no"),
    ("enable-module-command", "no"),
    ("enable-protected-configs", "no"),
    ("lazyfree-lazy-eviction", "yes"),
    ("lazyfree-lazy-expire", "yes"),
    ("lazyfree-lazy-server-del", "yes"),
    ("lazyfree-lazy-user-del", "yes"),
    ("lazyfree-lazy-user-flush", "yes"),
    ("maxmemory-clients", "25%"),
    ("masteruser", "replication"),
    ("protected-mode", "yes"),
    ("rdb-del-sync-files", "no"),
    ("repl-diskless-sync", "yes"),
    ("repl-diskless-sync-delay", "0"),
    ("replica-lazy-flush", "yes"),
    ("replica-read-only", "yes"),
    ("replica-serve-stale-data", "yes"),
    ("tls-auth-clients", "optional"),
    ("tls-ca-cert-file", "/etc/cachebus/tls/ca.crt"),
    ("tls-cert-file", "/etc/cachebus/tls/tls.crt"),
    ("tls-key-file", "/etc/cachebus/tls/tls.key"),
    ("tls-replication", "yes"),
];

/// On those of the sample: the requirements' defaults, but for the policy, which spares durable events.
pub const SAMPLE: Directives = &[
    ("appendfsync", "everysec"),
    ("appendonly", "yes"),
    (
        "client-output-buffer-limit",
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    ),
    ("maxclients", "10000"),
    ("maxmemory", "2147483648"),
    ("maxmemory-policy", "volatile-lru"),
    ("min-replicas-max-lag", "5"),
    ("min-replicas-to-write", "1"),
    ("port", "0"),
    ("repl-backlog-size", "67108864"),
    ("save", "900 1 300 10 60 10000"),
    ("tcp-backlog", "511"),
    ("tcp-keepalive", "60"),
    ("timeout", "300"),
    ("tls-port", "6379"),
];

/// A spec that says something of its own wherever it can.
pub const OTHER_SPEC: &str = r#"
replicas: 1
port: 6390
memory: {max: 48Mi, policy: volatile-ttl}
resources:
  requests: {cpu: 10m, memory: 32Mi}
  limits: {memory: 160Mi}
storage: {size: 64Mi, reclaim: Delete}
persistence:
  aof: always
  rdb: [{after: 5m, changes: 7}]
connections: {timeout: 0s, tcpKeepalive: 2m, tcpBacklog: 100, maxClients: 500}
replication: {backlogSize: 4Mi, maxLag: 3s, minReplicasToWrite: 0}
sentinel:
  storageSize: 16Mi
  resources: {requests: {cpu: 10m, memory: 16Mi}}
tls: {mode: Optional, plaintextPort: 6391}
config:
  client-output-buffer-limit: pubsub 64mb 16mb 90
  hz: "20"
  notify-keyspace-events: Ex
"#;

/// On the data nodes of [`OTHER_SPEC`].
pub const OTHER: Directives = &[
    ("appendfsync", "always"),
    ("appendonly", "yes"),
    (
        "client-output-buffer-limit",
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 67108864 16777216 90",
    ),
    ("hz", "20"),
    ("maxclients", "500"),
    ("maxmemory", "50331648"),
    ("maxmemory-policy", "volatile-ttl"),
    ("min-replicas-max-lag", "3"),
    ("min-replicas-to-write", "0"),
    ("notify-keyspace-events", "xE"),
    ("port", "6391"),
    ("repl-backlog-size", "4194304"),
    ("save", "300 7"),
    ("tcp-backlog", "100"),
    ("tcp-keepalive", "120"),
    ("timeout", "0"),
    ("tls-port", "6390"),
];
