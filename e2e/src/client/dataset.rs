//! Writes the dataset and tells what has become of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use cachebus_e2e::cells::Way;
use cachebus_e2e::dataset::{BATCH, Entry, FUNCTION, Origin, TTL_SECONDS, batches};
use redis::aio::MultiplexedConnection;

use crate::binding::Binding;
use crate::connect::connect;
use crate::say::say_json;

/// Batches on their way at once.
const WINDOW: usize = 16;

/// Writes a dataset of this many keys.
pub async fn load(binding: &Binding, keys: u64) -> anyhow::Result<()> {
    let connection = connect(binding, Way::Service).await?;
    let mut writes = tokio::task::JoinSet::new();
    for (origin, entries) in batches(keys) {
        if writes.len() == WINDOW
            && let Some(written) = writes.join_next().await
        {
            written??;
        }
        let connection = connection.clone();
        writes.spawn(async move { write(connection, origin, &entries).await });
    }
    while let Some(written) = writes.join_next().await {
        written??;
    }
    say_json(&serde_json::json!({"written": keys}))
}

async fn write(
    mut connection: MultiplexedConnection,
    origin: Origin,
    entries: &[Entry],
) -> anyhow::Result<()> {
    match origin {
        Origin::Plain | Origin::Transaction => {
            let mut pipeline = redis::pipe();
            if origin == Origin::Transaction {
                pipeline.atomic();
            }
            for Entry { key, value } in entries {
                pipeline
                    .cmd("SET")
                    .arg(key)
                    .arg(value)
                    .arg("EX")
                    .arg(TTL_SECONDS)
                    .ignore();
            }
            pipeline
                .exec_async(&mut connection)
                .await
                .with_context(|| format!("{origin} writes"))
        }
        Origin::Function => {
            let mut call = redis::cmd("FCALL");
            call.arg(FUNCTION).arg(entries.len());
            for Entry { key, .. } in entries {
                call.arg(key);
            }
            for Entry { value, .. } in entries {
                call.arg(value);
            }
            let written: usize = call
                .arg(TTL_SECONDS)
                .query_async(&mut connection)
                .await
                .context("writes by a function")?;
            ensure!(
                written == entries.len(),
                "the function wrote {written} keys"
            );
            Ok(())
        }
    }
}

/// Counts, by origin, the keys of the dataset that are missing, differ, or lost their lifetime.
pub async fn verify(binding: &Binding, keys: u64) -> anyhow::Result<()> {
    let mut connection = connect(binding, Way::Service).await?;
    let mut amiss: BTreeMap<String, u64> = BTreeMap::new();
    for (origin, entries) in batches(keys) {
        let mut pipeline = redis::pipe();
        for Entry { key, .. } in &entries {
            pipeline.cmd("GET").arg(key).cmd("TTL").arg(key);
        }
        let found: Vec<redis::Value> = pipeline.query_async(&mut connection).await?;
        ensure!(
            found.len() == 2 * entries.len(),
            "{} answers to a batch of {BATCH}",
            found.len()
        );
        for (entry, answers) in entries.iter().zip(found.chunks(2)) {
            let value: Option<String> = redis::from_redis_value(answers[0].clone())?;
            let ttl: i64 = redis::from_redis_value(answers[1].clone())?;
            if let Some(wrong) = judge(entry, value.as_deref(), ttl) {
                *amiss.entry(format!("{wrong} ({origin})")).or_default() += 1;
            }
        }
    }
    say_json(&serde_json::json!({"checked": keys, "amiss": amiss}))
}

fn judge(entry: &Entry, value: Option<&str>, ttl: i64) -> Option<&'static str> {
    match value {
        None => Some("missing"),
        Some(value) if value != entry.value => Some("another value"),
        Some(_) if ttl <= 0 => Some("no lifetime"),
        Some(_) if ttl.unsigned_abs() > TTL_SECONDS => Some("a longer lifetime"),
        Some(_) => None,
    }
}
