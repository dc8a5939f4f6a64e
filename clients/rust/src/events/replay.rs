//! Durable events again.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use futures::stream::{self, Stream};

use super::entry::RawEntry;
use crate::command::Command;
use crate::connection::{Connection, Repeat};
use crate::contract::ChannelSpec;
use crate::error::{Error, Result};
use crate::event::Event;

const PAGE: u32 = 100;

/// From where, or to where, a stream is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// All that the stream keeps.
    Open,
    /// What was emitted at this time by the server's clock (milliseconds).
    Time(SystemTime),
    /// An event's place ([`Event::stream_id`]).
    StreamId(String),
}

impl Bound {
    fn word(&self, open: &str) -> String {
        match self {
            Self::Open => open.to_owned(),
            Self::Time(moment) => {
                let since = moment.duration_since(SystemTime::UNIX_EPOCH);
                since.unwrap_or(Duration::ZERO).as_millis().to_string()
            }
            Self::StreamId(id) => id.clone(),
        }
    }
}

pub(super) fn events(
    connection: Connection,
    spec: &ChannelSpec,
    since: &Bound,
    until: &Bound,
) -> impl Stream<Item = Result<Event>> + use<> {
    let pages = Pages {
        connection,
        key: spec.stream_key(),
        after: Some(since.word("-")),
        last: until.word("+"),
        ready: VecDeque::new(),
    };
    stream::try_unfold(pages, |mut pages| async move {
        Ok(pages.next().await?.map(|event| (event, pages)))
    })
}

struct Pages {
    connection: Connection,
    key: String,
    /// `None`: all was read.
    after: Option<String>,
    last: String,
    ready: VecDeque<Event>,
}

impl Pages {
    async fn next(&mut self) -> Result<Option<Event>, Error> {
        while self.ready.is_empty() {
            let Some(after) = self.after.take() else {
                return Ok(None);
            };
            let range = Command::new("XRANGE").arg(&self.key).arg(after);
            let range = range.arg(&self.last).arg("COUNT").arg(PAGE);
            let entries: Vec<RawEntry> = self.connection.call(range, Repeat::Safe).await?;
            self.after = entries.last().map(|entry| format!("({}", entry.id()));
            self.ready = entries
                .iter()
                .filter_map(|entry| Some(entry.event()?.at(entry.id().to_owned(), 1)))
                .collect();
        }
        Ok(self.ready.pop_front())
    }
}
