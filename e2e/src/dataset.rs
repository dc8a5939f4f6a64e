//! A dataset that can be told from its size alone: whoever knows how many keys there are knows each key and value.

use std::fmt;

/// Lifetime of every key, seconds. Long enough that none expires during a scenario.
pub const TTL_SECONDS: u64 = 6 * 60 * 60;

/// Keys that one MULTI/EXEC, or one call of the function, writes.
pub const BATCH: u64 = 20;

/// Name of the function that writes a batch.
pub const FUNCTION: &str = "e2e_put";

/// Source of the library with [`FUNCTION`]: the keys, then a value for each, then the lifetime in seconds.
pub const LIBRARY: &str = "#!lua name=e2e\n\
redis.register_function('e2e_put', function(keys, args)\n\
  for i, key in ipairs(keys) do redis.call('SET', key, args[i], 'EX', args[#keys + 1]) end\n\
  return #keys\n\
end)\n";

/// How a key came to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// By a command of its own.
    Plain,
    /// With others in one MULTI/EXEC.
    Transaction,
    /// With others by one call of a function.
    Function,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Transaction => "transaction",
            Self::Function => "function",
        })
    }
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// The batches of a dataset of `keys` keys, each of one origin, in the order in which they are written.
pub fn batches(keys: u64) -> impl Iterator<Item = (Origin, Vec<Entry>)> {
    (0..keys.div_ceil(BATCH)).map(move |batch| {
        let origin = match batch % 3 {
            0 => Origin::Plain,
            1 => Origin::Transaction,
            _ => Origin::Function,
        };
        let end = ((batch + 1) * BATCH).min(keys);
        let entries = (batch * BATCH..end).map(|id| entry(origin, id)).collect();
        (origin, entries)
    })
}

/// Plain writes and transactions go to the cache keyspace `agent:{id}`, functions to the lock keyspace `lock:{resource}`.
fn entry(origin: Origin, id: u64) -> Entry {
    let family = match origin {
        Origin::Plain | Origin::Transaction => "agent",
        Origin::Function => "lock",
    };
    Entry {
        key: format!("{family}:{id}"),
        value: format!(
            "{origin}-{id}-{:016x}",
            id.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_is_written_once_and_every_origin_occurs() {
        let all: Vec<_> = batches(1_003).collect();
        let keys: BTreeSet<String> = all
            .iter()
            .flat_map(|(_, entries)| entries.iter().map(|entry| entry.key.clone()))
            .collect();
        let origins: BTreeSet<Origin> = all.iter().map(|(origin, _)| *origin).collect();
        assert_eq!(keys.len(), 1_003);
        assert_eq!(origins.len(), 3);
        assert_eq!(all.last().map(|(_, entries)| entries.len()), Some(3));
    }
}
