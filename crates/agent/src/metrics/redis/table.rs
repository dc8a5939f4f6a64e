//! Which line of `INFO` is which figure.

use crate::metrics::page::Kind::{self, CountedBesideGauge, Counter, Gauge};

/// How a value is turned into a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::metrics) enum Unit {
    /// As it is.
    Plain,
    /// To seconds.
    Microseconds,
    /// `ok` or `up` is 1, anything else 0.
    Good,
}

impl Unit {
    /// The figure, where the value is one.
    pub(in crate::metrics) fn figure(self, text: &str) -> Option<f64> {
        match self {
            Self::Plain | Self::Microseconds => text.parse().ok().map(|value| self.scaled(value)),
            Self::Good => Some(if matches!(text, "ok" | "up") {
                1.0
            } else {
                0.0
            }),
        }
    }

    pub(in crate::metrics) fn scaled(self, value: f64) -> f64 {
        match self {
            Self::Microseconds => value / 1e6,
            Self::Plain | Self::Good => value,
        }
    }
}

/// One line of `INFO` as a figure.
pub(super) struct Field {
    pub(super) info: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    pub(super) help: &'static str,
}

const fn field(
    info: &'static str,
    name: &'static str,
    kind: Kind,
    unit: Unit,
    help: &'static str,
) -> Field {
    Field {
        info,
        name,
        kind,
        unit,
        help,
    }
}

use Unit::{Good, Microseconds, Plain};

/// The names of counters are without `_total`, which the format adds.
#[rustfmt::skip]
pub(super) const FIELDS: &[Field] = &[
    field("keyspace_hits", "cache_hits", Counter, Plain, "Lookups that found their key"),
    field("keyspace_misses", "cache_misses", Counter, Plain, "Lookups that found no key"),
    field("evicted_keys", "cache_evictions", Counter, Plain, "Keys removed to stay below the memory limit"),
    field("used_memory", "cache_memory_usage_bytes", Gauge, Plain, "Memory allocated"),

    field("uptime_in_seconds", "redis_uptime_in_seconds", Gauge, Plain, "Seconds since the server started"),
    field("loading", "redis_loading_dump_file", Gauge, Plain, "Whether the server reads its files"),
    field("connected_clients", "redis_connected_clients", Gauge, Plain, "Connections of clients"),
    field("blocked_clients", "redis_blocked_clients", Gauge, Plain, "Clients that wait in a blocking call"),
    field("maxclients", "redis_config_maxclients", Gauge, Plain, "Connections that are allowed"),
    field("total_connections_received", "redis_connections_received", Counter, Plain, "Connections accepted"),
    field("rejected_connections", "redis_rejected_connections", Counter, Plain, "Connections refused because there were too many"),

    field("used_memory", "redis_memory_used_bytes", Gauge, Plain, "Memory allocated"),
    field("used_memory_rss", "redis_memory_used_rss_bytes", Gauge, Plain, "Memory as the system counts it"),
    field("used_memory_peak", "redis_memory_used_peak_bytes", Gauge, Plain, "Most memory allocated so far"),
    field("maxmemory", "redis_memory_max_bytes", Gauge, Plain, "Memory limit, 0: none"),
    field("mem_fragmentation_ratio", "redis_mem_fragmentation_ratio", Gauge, Plain, "Memory as the system counts it by memory allocated"),

    field("instantaneous_ops_per_sec", "redis_ops_per_second", Gauge, Plain, "Commands a second, lately"),
    field("total_commands_processed", "redis_commands_processed", Counter, Plain, "Commands processed"),
    field("total_error_replies", "redis_error_replies", Counter, Plain, "Commands answered with an error"),
    field("total_net_input_bytes", "redis_net_input_bytes", Counter, Plain, "Bytes received"),
    field("total_net_output_bytes", "redis_net_output_bytes", Counter, Plain, "Bytes sent"),

    field("keyspace_hits", "redis_keyspace_hits", Gauge, Plain, "Lookups that found their key, since the server started"),
    field("keyspace_misses", "redis_keyspace_misses", Gauge, Plain, "Lookups that found no key, since the server started"),
    field("keyspace_hits", "redis_keyspace_hits_total", CountedBesideGauge, Plain, "Lookups that found their key"),
    field("keyspace_misses", "redis_keyspace_misses_total", CountedBesideGauge, Plain, "Lookups that found no key"),
    field("expired_keys", "redis_expired_keys", Counter, Plain, "Keys removed at their expiry"),
    field("evicted_keys", "redis_evicted_keys", Counter, Plain, "Keys removed to stay below the memory limit"),
    field("pubsub_channels", "redis_pubsub_channels", Gauge, Plain, "Channels with subscribers"),
    field("pubsub_patterns", "redis_pubsub_patterns", Gauge, Plain, "Patterns with subscribers"),

    field("connected_slaves", "redis_connected_slaves", Gauge, Plain, "Replicas connected"),
    field("master_link_status", "redis_master_link_up", Gauge, Good, "Whether the link to the primary is up"),
    field("master_last_io_seconds_ago", "redis_master_last_io_seconds", Gauge, Plain, "Seconds since the primary last said something"),
    field("master_sync_in_progress", "redis_master_sync_in_progress", Gauge, Plain, "Whether a full synchronisation is under way"),
    field("master_repl_offset", "redis_master_repl_offset", Gauge, Plain, "Offset of the replication stream produced"),
    field("slave_repl_offset", "redis_slave_repl_offset", Gauge, Plain, "Offset of the replication stream applied"),

    field("rdb_last_save_time", "redis_rdb_last_save_timestamp_seconds", Gauge, Plain, "When the last snapshot was written"),
    field("rdb_changes_since_last_save", "redis_rdb_changes_since_last_save", Gauge, Plain, "Writes since the last snapshot"),
    field("rdb_last_bgsave_status", "redis_rdb_last_bgsave_status", Gauge, Good, "Whether the last snapshot was written whole"),
    field("aof_enabled", "redis_aof_enabled", Gauge, Plain, "Whether the append-only file is on"),
    field("aof_last_write_status", "redis_aof_last_write_status", Gauge, Good, "Whether the last write to the append-only file succeeded"),
    field("aof_last_bgrewrite_status", "redis_aof_last_bgrewrite_status", Gauge, Good, "Whether the last rewrite of the append-only file succeeded"),
    field("aof_current_size", "redis_aof_current_size_bytes", Gauge, Plain, "Size of the append-only file"),
    field("latest_fork_usec", "redis_latest_fork_seconds", Gauge, Microseconds, "How long the last fork took"),
];
