//! What a service's group has yet to do.

use std::collections::HashMap;
use std::time::Duration;

use redis::Value;

use super::entry::RawEntry;
use crate::command::Command;
use crate::connection::{Connection, Repeat, parsed};
use crate::contract::ChannelSpec;
use crate::error::{Error, Result};

/// What a service's group has yet to do on one channel; from [`EventBus::backlog`](super::EventBus::backlog).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Events that consumers were handed out and have not acknowledged.
    pub pending: u64,
    /// Events that nobody was handed out yet; `None` where the server cannot tell, for some were removed from the stream.
    pub waiting: Option<u64>,
    /// How long ago the oldest of all these was emitted; zero where there is none.
    pub age: Duration,
}

/// Two round trips. O(groups of the stream).
pub(super) async fn backlog(connection: &Connection, spec: &ChannelSpec) -> Result<Backlog> {
    let group = &connection.contract().service;
    let key = spec.stream_key();
    let questions = vec![
        Command::new("XINFO").arg("GROUPS").arg(&key),
        Command::new("XPENDING").arg(&key).arg(group),
        Command::new("TIME"),
    ];
    let answers = connection.pipeline(questions, Repeat::Safe).await;
    let [groups, pending, time]: [Value; 3] = answers
        .map_err(|error| match error {
            // There is no stream, and so no group.
            Error::Server { command, code } if command == "XINFO" && code == "ERR" => {
                Error::GroupMissing { command }
            }
            error => error,
        })?
        .try_into()
        .unwrap_or_default();
    let groups: Vec<HashMap<String, Value>> = parsed("XINFO", groups)?;
    let pending: (u64, Option<String>, Value, Value) = parsed("XPENDING", pending)?;
    let (seconds, _): (u64, Value) = parsed("TIME", time)?;
    let mut own = groups
        .into_iter()
        .find(|fields| field::<String>(fields, "name").is_ok_and(|name| name == *group))
        .ok_or_else(|| Error::GroupMissing {
            command: "XINFO".to_owned(),
        })?;
    let waiting = match own.remove("lag") {
        Some(lag) => parsed("XINFO", lag)?,
        None => None,
    };
    let delivered: String = field(&own, "last-delivered-id")?;
    let next = Command::new("XRANGE")
        .arg(&key)
        .arg(format!("({delivered}"));
    let next = next.arg("+").arg("COUNT").arg(1);
    let next: Vec<RawEntry> = connection.call(next, Repeat::Safe).await?;
    let oldest = next
        .first()
        .map(RawEntry::id)
        .into_iter()
        .chain(pending.1.as_deref())
        .filter_map(emitted_at)
        .min();
    let now = Duration::from_secs(seconds);
    Ok(Backlog {
        pending: pending.0,
        waiting,
        age: oldest.map_or(Duration::ZERO, |oldest| now.saturating_sub(oldest)),
    })
}

fn field<T: redis::FromRedisValue>(fields: &HashMap<String, Value>, name: &str) -> Result<T> {
    parsed("XINFO", fields.get(name).cloned().unwrap_or(Value::Nil))
}

/// The moment that an entry's id begins with.
fn emitted_at(id: &str) -> Option<Duration> {
    let (milliseconds, _) = id.split_once('-')?;
    milliseconds.parse().ok().map(Duration::from_millis)
}
