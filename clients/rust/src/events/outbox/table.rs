//! The outbox as PostgreSQL is told of it.

use std::time::Duration;

use crate::error::{Error, Result};

/// The longest name that PostgreSQL does not cut off.
const LONGEST_NAME: usize = 63;

/// A table's name, quoted, and what is done with it.
pub(super) struct Table {
    quoted: String,
    /// Without its schema.
    name: String,
    wakes: String,
}

impl Table {
    /// `table` or `schema.table`: letters, digits and `_`.
    pub(super) fn named(name: &str) -> Result<Self> {
        let parts: Vec<&str> = name.split('.').collect();
        let fits = |part: &&str| {
            (1..=LONGEST_NAME).contains(&part.len())
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if parts.len() > 2 || !parts.iter().all(fits) {
            return Err(Error::Contract(
                "an outbox is called table or schema.table, of letters, digits and _".to_owned(),
            ));
        }
        let quoted: Vec<String> = parts.iter().map(|part| format!("\"{part}\"")).collect();
        Ok(Self {
            quoted: quoted.join("."),
            name: parts.last().copied().unwrap_or_default().to_owned(),
            wakes: name.chars().take(LONGEST_NAME).collect(),
        })
    }

    /// What relays listen to.
    pub(super) fn wakes(&self) -> &str {
        &self.wakes
    }

    pub(super) fn ddl(&self) -> String {
        let Self { quoted, name, .. } = self;
        let index: String = format!("{name}_waiting")
            .chars()
            .rev()
            .take(LONGEST_NAME)
            .collect();
        let index: String = index.chars().rev().collect();
        format!(
            "CREATE TABLE IF NOT EXISTS {quoted} (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL UNIQUE,
    channel text NOT NULL,
    envelope text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The kind of the error for which it was set aside.
    refused text
);
CREATE INDEX IF NOT EXISTS \"{index}\" ON {quoted} (position) WHERE refused IS NULL;
"
        )
    }

    /// Parameters: id, channel, envelope, and what relays listen to. A row where it was added.
    pub(super) fn add(&self) -> String {
        format!(
            "WITH added AS (
                INSERT INTO {} (event_id, channel, envelope) VALUES ($1, $2, $3)
                ON CONFLICT (event_id) DO NOTHING RETURNING true
            )
            SELECT pg_notify($4, '') FROM added",
            self.quoted
        )
    }

    /// What a relay's session begins with: one that stops in the middle of a transaction is ended after `idle`.
    pub(super) fn begin(&self, idle: Duration) -> String {
        format!(
            "SET idle_in_transaction_session_timeout = {}; LISTEN \"{}\"",
            idle.as_millis(),
            self.wakes
        )
    }

    /// Whether this transaction's relay is the only one at work: several at once would emit out of order. Parameter: what relays listen to.
    pub(super) fn lock() -> &'static str {
        "SELECT pg_try_advisory_xact_lock(hashtextextended('cachebus outbox ' || $1::text, 0))"
    }

    /// Parameter: how many. Rows that somebody else changes just now are left to him.
    pub(super) fn next(&self) -> String {
        format!(
            "SELECT position, channel, envelope FROM {} WHERE refused IS NULL
            ORDER BY position LIMIT $1 FOR UPDATE SKIP LOCKED",
            self.quoted
        )
    }

    /// Parameter: positions.
    pub(super) fn remove(&self) -> String {
        format!("DELETE FROM {} WHERE position = ANY($1)", self.quoted)
    }

    /// Parameters: position, kind of the error.
    pub(super) fn refuse(&self) -> String {
        format!(
            "UPDATE {} SET refused = $2 WHERE position = $1",
            self.quoted
        )
    }

    pub(super) fn retry(&self) -> String {
        format!(
            "UPDATE {} SET refused = NULL WHERE refused IS NOT NULL",
            self.quoted
        )
    }

    /// Waiting, refused, age in seconds.
    pub(super) fn backlog(&self) -> String {
        format!(
            "SELECT count(*) FILTER (WHERE refused IS NULL), count(*) FILTER (WHERE refused IS NOT NULL),
            coalesce(extract(epoch FROM clock_timestamp() - min(added_at) FILTER (WHERE refused IS NULL)), 0)::float8
            FROM {}",
            self.quoted
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        lock: String,
        tables: Vec<Named>,
        invalid: Vec<String>,
    }

    #[derive(serde::Deserialize)]
    struct Named {
        name: String,
        ddl: String,
        listens: String,
    }

    fn vectors() -> Vectors {
        let text = include_str!("../../../../../functions/vectors/outbox.json");
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn tables_and_turns_are_those_of_all_clients() {
        let vectors = vectors();
        assert_eq!(Table::lock(), vectors.lock.replace("{}", "$1"));
        for named in vectors.tables {
            let table = Table::named(&named.name).unwrap();
            assert_eq!(table.ddl(), named.ddl);
            assert_eq!(table.wakes(), named.listens);
        }
    }

    #[test]
    fn names_are_quoted_and_others_refused() {
        let table = Table::named("tasks.Outbox_2").unwrap();
        assert!(table.add().contains("INSERT INTO \"tasks\".\"Outbox_2\" "));
        let begin = table.begin(Duration::from_secs(30));
        assert!(begin.ends_with("= 30000; LISTEN \"tasks.Outbox_2\""));
        for name in vectors().invalid {
            assert!(Table::named(&name).is_err(), "{name}");
        }
    }
}
