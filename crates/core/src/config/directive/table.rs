//! The directives, with the ranges of the engines' own tables.

use super::super::value::Value;
use super::super::value::Value::{
    Bytes, BytesOrPercent, Integer, KeyspaceEvents, OutputBufferLimits, Percentiles, Save, Text,
    Word, YesNo,
};
use super::{Directive, Since};

/// A count that the engines keep in 32 bits.
const COUNT: Value = Integer(0, i32::MAX as i64);
/// A count that they keep in 64 bits.
const LONG: Value = Integer(0, i64::MAX);
const PERCENT: Value = Integer(1, 99);

const fn of(name: &'static str, value: Value) -> Directive {
    Directive::new(name, value)
}

/// Directives that come from the typed fields, or that the operator keeps for itself.
pub(super) const OWN: &[Directive] = &[
    of(
        "acl-pubsub-default",
        Word(&["resetchannels", "allchannels"]),
    ),
    of("appenddirname", Text).restart(),
    of("appendfilename", Text).restart(),
    of("appendfsync", Word(&["always", "everysec", "no"])),
    of("appendonly", YesNo),
    of("bind", Text),
    of("cluster-enabled", YesNo).restart(),
    of("dbfilename", Text).restart(),
    of("dir", Text).restart(),
    of("enable-debug-command", Word(&["no", "yes", "local"])).restart(),
    of("enable-module-command", Word(&["no", "yes", "local"])).restart(),
    of("enable-protected-configs", Word(&["no", "yes", "local"])).restart(),
    of("maxclients", COUNT),
    of("maxmemory", Bytes(0)),
    of("maxmemory-policy", Text),
    of("min-replicas-max-lag", COUNT),
    of("min-replicas-to-write", COUNT),
    of("port", Integer(0, 65_535)),
    of("protected-mode", YesNo),
    of("rdb-del-sync-files", YesNo),
    of("repl-backlog-size", Bytes(1)),
    of("replica-read-only", YesNo),
    of("replica-serve-stale-data", YesNo),
    of("save", Save),
    of("tcp-backlog", COUNT).restart(),
    of("tcp-keepalive", COUNT),
    of("timeout", COUNT),
    of("tls-auth-clients", Word(&["no", "yes", "optional"])),
    of("tls-ca-cert-file", Text),
    of("tls-cert-file", Text),
    of("tls-key-file", Text),
    of("tls-port", Integer(0, 65_535)),
    of("tls-replication", YesNo),
];

/// Directives that `spec.config` may set.
pub(super) const RAW: &[Directive] = &[
    of("acllog-max-len", LONG),
    of("active-defrag-cycle-max", PERCENT),
    of("active-defrag-cycle-min", PERCENT),
    of("active-defrag-ignore-bytes", Bytes(1)),
    of("active-defrag-max-scan-fields", Integer(1, i64::MAX)),
    of("active-defrag-threshold-lower", Integer(0, 1_000)),
    of("active-defrag-threshold-upper", Integer(0, 1_000)),
    of("active-expire-effort", Integer(1, 10)),
    of("activedefrag", YesNo),
    of("activerehashing", YesNo),
    of("aof-load-truncated", YesNo),
    of("aof-rewrite-incremental-fsync", YesNo),
    of("aof-timestamp-enabled", YesNo),
    of("aof-use-rdb-preamble", YesNo),
    of("auto-aof-rewrite-min-size", Bytes(0)),
    of("auto-aof-rewrite-percentage", COUNT),
    of("availability-zone", Text).since(Since::Never, Since::Always),
    of("busy-reply-threshold", LONG),
    of("client-output-buffer-limit", OutputBufferLimits),
    of("client-query-buffer-limit", Bytes(1 << 20)),
    of("commandlog-execution-slower-than", Integer(-1, i64::MAX))
        .since(Since::Never, Since::Version(8, 1)),
    of("commandlog-large-reply-max-len", LONG).since(Since::Never, Since::Version(8, 1)),
    of("commandlog-large-request-max-len", LONG).since(Since::Never, Since::Version(8, 1)),
    of("commandlog-reply-larger-than", Integer(-1, i64::MAX))
        .since(Since::Never, Since::Version(8, 1)),
    of("commandlog-request-larger-than", Integer(-1, i64::MAX))
        .since(Since::Never, Since::Version(8, 1)),
    of("commandlog-slow-execution-max-len", LONG).since(Since::Never, Since::Version(8, 1)),
    of("crash-log-enabled", YesNo),
    of("crash-memcheck-enabled", YesNo),
    of("databases", Integer(1, i32::MAX as i64)).restart(),
    of("disable-thp", YesNo).restart(),
    of("dual-channel-replication-enabled", YesNo).since(Since::Never, Since::Always),
    of("extended-redis-compatibility", YesNo).since(Since::Never, Since::Always),
    of("hash-max-listpack-entries", LONG),
    of("hash-max-listpack-value", Bytes(0)),
    of("hide-user-data-from-log", YesNo).since(Since::Version(7, 4), Since::Always),
    of("hll-sparse-max-bytes", Bytes(0)),
    of("hz", Integer(1, 500)),
    of("io-threads", Integer(1, 128)).restart(),
    of("jemalloc-bg-thread", YesNo),
    of("latency-monitor-threshold", LONG),
    of("latency-tracking", YesNo),
    of("latency-tracking-info-percentiles", Percentiles),
    of("lazyfree-lazy-eviction", YesNo),
    of("lazyfree-lazy-expire", YesNo),
    of("lazyfree-lazy-server-del", YesNo),
    of("lazyfree-lazy-user-del", YesNo),
    of("lazyfree-lazy-user-flush", YesNo),
    of("lfu-decay-time", COUNT),
    of("lfu-log-factor", COUNT),
    of("list-compress-depth", COUNT),
    of(
        "list-max-listpack-size",
        Integer(i32::MIN as i64, i32::MAX as i64),
    ),
    of("locale-collate", Text).since(Since::Version(7, 2), Since::Always),
    of("loglevel", Word(&["debug", "verbose", "notice", "warning"])),
    of("max-new-connections-per-cycle", Integer(1, 1_000))
        .since(Since::Version(7, 4), Since::Always),
    of("max-new-tls-connections-per-cycle", Integer(1, 1_000))
        .since(Since::Version(7, 4), Since::Always),
    of("maxmemory-clients", BytesOrPercent),
    of("maxmemory-eviction-tenacity", Integer(0, 100)),
    of("maxmemory-samples", Integer(1, 64)),
    of("no-appendfsync-on-rewrite", YesNo),
    of("notify-keyspace-events", KeyspaceEvents),
    of("prefetch-batch-max-size", Integer(0, 128)).since(Since::Never, Since::Always),
    of(
        "propagation-error-behavior",
        Word(&["ignore", "panic", "panic-on-replicas"]),
    ),
    of("proto-max-bulk-len", Bytes(1 << 20)),
    of("rdb-save-incremental-fsync", YesNo),
    of("rdbchecksum", YesNo).restart(),
    of("rdbcompression", YesNo),
    of("repl-backlog-ttl", LONG),
    of("repl-disable-tcp-nodelay", YesNo),
    of(
        "repl-diskless-load",
        Word(&["disabled", "on-empty-db", "swapdb"]),
    ),
    of("repl-diskless-sync", YesNo),
    of("repl-diskless-sync-delay", COUNT),
    of("repl-diskless-sync-max-replicas", COUNT),
    of("repl-ping-replica-period", Integer(1, i32::MAX as i64)),
    of("repl-timeout", Integer(1, i32::MAX as i64)),
    of("replica-full-sync-buffer-limit", Bytes(0)).since(Since::Version(8, 0), Since::Never),
    of("replica-lazy-flush", YesNo),
    of("set-max-intset-entries", LONG),
    of("set-max-listpack-entries", LONG).since(Since::Version(7, 2), Since::Always),
    of("set-max-listpack-value", LONG).since(Since::Version(7, 2), Since::Always),
    // A pod's time to end allows for it.
    of("shutdown-timeout", Integer(0, 30)),
    of("slowlog-log-slower-than", Integer(-1, i64::MAX)),
    of("slowlog-max-len", LONG),
    of("stop-writes-on-bgsave-error", YesNo),
    of("stream-node-max-bytes", Bytes(0)),
    of("stream-node-max-entries", LONG),
    of("tracking-table-max-keys", LONG),
    of("zset-max-listpack-entries", LONG),
    of("zset-max-listpack-value", Bytes(0)),
];
