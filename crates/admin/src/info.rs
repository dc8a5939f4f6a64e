//! The answer to `INFO`.

mod replication;

use std::{collections::BTreeMap, str::FromStr, time::Duration};

pub use replication::{NodeRole, ReplicaLine, Replication, UpstreamLink};

/// The family of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// What a data node reports of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Redis or Valkey.
    pub engine: Engine,
    /// The engine's own version; for Valkey not the Redis version it claims compatibility with.
    pub version: String,
    /// Random for each start of the process.
    pub run_id: String,
    /// Time since that start, in whole seconds.
    pub uptime: Duration,
    /// The dataset is still being read from disk.
    pub loading: bool,
    /// Role, links and offsets.
    pub replication: Replication,
    /// The append-only file.
    pub aof: Aof,
    /// The snapshots.
    pub rdb: Rdb,
    /// Use and limit.
    pub memory: Memory,
    /// Keys by number of the database; empty ones are not listed.
    pub keyspace: BTreeMap<u32, Keyspace>,
    /// Every `name:value` line as it came, for metrics.
    pub raw: BTreeMap<String, String>,
}

/// State of the append-only file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aof {
    /// It is on.
    pub enabled: bool,
    /// It is being rewritten.
    pub rewrite_in_progress: bool,
    /// The last write to it succeeded.
    pub last_write_ok: bool,
}

/// State of the RDB snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rdb {
    /// One is being written.
    pub save_in_progress: bool,
    /// The last one was written whole.
    pub last_save_ok: bool,
    /// When, in seconds of Unix time; the start of the process when there was none.
    pub last_save_time: u64,
    /// Writes since then.
    pub changes_since_last_save: u64,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Allocated.
    pub used: u64,
    /// `maxmemory`; 0 is no limit.
    pub max: u64,
}

/// Keys of one database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keyspace {
    /// All keys.
    pub keys: u64,
    /// Keys with an expiry.
    pub expires: u64,
}

impl Info {
    /// Reads the text of `INFO`. `None` when a field that every supported engine reports is missing, as in a Sentinel's answer.
    pub fn parse(text: &str) -> Option<Self> {
        let raw = lines(text);
        let fields = Fields(&raw);
        let (engine, version) = match raw.get("valkey_version") {
            Some(version) => (Engine::Valkey, version),
            None => (Engine::Redis, raw.get("redis_version")?),
        };
        Some(Self {
            engine,
            version: version.clone(),
            run_id: raw.get("run_id")?.clone(),
            uptime: Duration::from_secs(fields.number("uptime_in_seconds")?),
            loading: fields.flag("loading")?,
            replication: Replication::from_fields(fields)?,
            aof: Aof {
                enabled: fields.flag("aof_enabled")?,
                rewrite_in_progress: fields.flag("aof_rewrite_in_progress")?,
                last_write_ok: fields.is_ok("aof_last_write_status")?,
            },
            rdb: Rdb {
                save_in_progress: fields.flag("rdb_bgsave_in_progress")?,
                last_save_ok: fields.is_ok("rdb_last_bgsave_status")?,
                last_save_time: fields.number("rdb_last_save_time")?,
                changes_since_last_save: fields.number("rdb_changes_since_last_save")?,
            },
            memory: Memory {
                used: fields.number("used_memory")?,
                max: fields.number("maxmemory")?,
            },
            keyspace: raw
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.strip_prefix("db")?.parse().ok()?, keyspace(value)?))
                })
                .collect(),
            raw,
        })
    }

    /// Keys of all databases together.
    pub fn keys_total(&self) -> u64 {
        self.keyspace.values().map(|database| database.keys).sum()
    }
}

fn keyspace(value: &str) -> Option<Keyspace> {
    let figures = pairs(value);
    Some(Keyspace {
        keys: figures.get("keys")?.parse().ok()?,
        expires: figures.get("expires")?.parse().ok()?,
    })
}

/// `name:value` lines; headings and blank lines are left out.
pub(crate) fn lines(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// `name=value` separated by commas.
fn pairs(value: &str) -> BTreeMap<&str, &str> {
    value
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .collect()
}

#[derive(Clone, Copy)]
struct Fields<'a>(&'a BTreeMap<String, String>);

impl<'a> Fields<'a> {
    fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str)
    }

    fn number<T: FromStr>(self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    fn flag(self, name: &str) -> Option<bool> {
        self.number::<u8>(name).map(|value| value != 0)
    }

    fn is_ok(self, name: &str) -> Option<bool> {
        self.text(name).map(|value| value == "ok")
    }
}

#[cfg(test)]
mod tests;
