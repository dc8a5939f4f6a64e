//! Streams of durable channels, by the project's function library, and their consumer groups.

use std::{fmt, time::Duration};

use crate::{command::Command, connection::Connection, error::Error};

/// A stream, and where it is counted what its groups have lost.
#[derive(Clone, Copy)]
pub struct Stream<'a> {
    connection: &'a Connection,
    key: &'a str,
    lost_key: &'a str,
}

impl fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream")
            .field(&self.connection.endpoint().address)
            .field(&self.key)
            .finish()
    }
}

/// What trimming a stream would find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// There is the stream.
    pub exists: bool,
    /// Something may be trimmed.
    pub due: bool,
    /// Entries in it.
    pub length: u64,
    /// Its consumer groups.
    pub groups: Vec<ConsumerGroup>,
}

/// What trimming a stream has done, and what is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Entries dropped for their age.
    pub dropped: u64,
    /// Entries left.
    pub length: u64,
    /// Its consumer groups.
    pub groups: Vec<ConsumerGroup>,
}

/// How far a consumer group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroup {
    /// Its name.
    pub name: String,
    /// Entries that it was handed and has not acknowledged.
    pub pending: u64,
    /// Entries that it has yet to be handed; `None`: the server cannot tell.
    pub lag: Option<u64>,
    /// Age of the oldest entry that it has not acknowledged; zero: there is none.
    pub age: Duration,
    /// Entries that were dropped before it had acknowledged them, ever.
    pub lost: u64,
}

/// Name, pending, lag, age in milliseconds, lost.
type Told = (String, u64, i64, u64, u64);

impl<'a> Stream<'a> {
    pub(crate) fn new(connection: &'a Connection, key: &'a str, lost_key: &'a str) -> Self {
        Self {
            connection,
            key,
            lost_key,
        }
    }

    /// `cachebus_backlog`: what is older than `retention` may be trimmed where every group has acknowledged it. Writes nothing. O(groups
    /// and their consumers).
    pub async fn backlog(&self, retention: Duration) -> Result<Backlog, Error> {
        let command = self.function("FCALL_RO", "cachebus_backlog", retention);
        let (exists, due, length, groups): (bool, bool, u64, Vec<Told>) =
            self.connection.call(command).await?;
        Ok(Backlog {
            exists,
            due,
            length,
            groups: groups.into_iter().map(ConsumerGroup::of).collect(),
        })
    }

    /// `cachebus_trim`: drops at most 10,000 entries of what is older than `retention`, and which every group has acknowledged.
    pub async fn trim(&self, retention: Duration) -> Result<Trimmed, Error> {
        let command = self.function("FCALL", "cachebus_trim", retention);
        let (dropped, _, length, groups): (u64, u64, u64, Vec<Told>) =
            self.connection.call(command).await?;
        Ok(Trimmed {
            dropped,
            length,
            groups: groups.into_iter().map(ConsumerGroup::of).collect(),
        })
    }

    /// Makes a consumer group that begins with all that the stream keeps; whether it was not there before. Refused where there is no
    /// stream.
    pub async fn create_group(&self, group: &str) -> Result<bool, Error> {
        let command = Command::new("XGROUP CREATE").args([self.key, group, "0"]);
        match self.connection.call::<()>(command).await {
            Ok(()) => Ok(true),
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a consumer group, with what it was handed and has not acknowledged; whether it was there. Refused where there is no
    /// stream.
    pub async fn remove_group(&self, group: &str) -> Result<bool, Error> {
        let command = Command::new("XGROUP DESTROY").args([self.key, group]);
        self.connection.call(command).await
    }

    /// A call without a limit to the number of entries.
    fn function(&self, call: &'static str, name: &str, retention: Duration) -> Command {
        Command::new(call)
            .args([name, "2", self.key, self.lost_key])
            .arg(retention.as_millis().to_string())
            .arg("0")
    }
}

impl ConsumerGroup {
    fn of((name, pending, lag, age, lost): Told) -> Self {
        Self {
            name,
            pending,
            lag: u64::try_from(lag).ok(),
            age: Duration::from_millis(age),
            lost,
        }
    }
}
