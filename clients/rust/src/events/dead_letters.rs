//! What a service could not handle.

use futures::TryStreamExt as _;
use futures::stream::{self, Stream};

use super::entry::RawEntry;
use crate::command::Command;
use crate::connection::{Connection, Repeat};
use crate::contract::ChannelSpec;
use crate::error::Result;
use crate::event::Event;

const PAGE: usize = 100;

/// One event that was given up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its place among the dead letters.
    pub id: String,
    /// `None` where the entry held no envelope.
    pub event: Option<Event>,
    /// The kind of the failure: the type of the handler's error, `deliveries` (consumers died over it) or `invalid` (no envelope).
    pub reason: String,
    /// How often it was handed out.
    pub deliveries: u64,
    /// When it was given up: milliseconds since 1970.
    pub failed_at_ms: u64,
}

impl DeadLetter {
    fn of(entry: &RawEntry) -> Self {
        let text = |name| {
            entry
                .field(name)
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .unwrap_or_default()
        };
        let deliveries = text("deliveries").parse().unwrap_or(0);
        let stream_id = text("stream_id");
        Self {
            id: entry.id().to_owned(),
            event: entry.event().map(|event| event.at(stream_id, deliveries)),
            reason: text("reason"),
            deliveries,
            failed_at_ms: text("failed_at").parse().unwrap_or(0),
        }
    }
}

/// How a redrive went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redriven {
    /// Letters that were handled, and dropped.
    pub handled: usize,
    /// Letters that stay.
    pub failed: usize,
}

/// The service's dead letters of one channel; from [`EventBus::dead_letters`](super::EventBus::dead_letters). They stay until they are
/// dropped.
#[derive(Clone)]
pub struct DeadLetters {
    connection: Connection,
    key: String,
}

impl DeadLetters {
    pub(super) fn new(connection: Connection, spec: &ChannelSpec) -> Self {
        Self {
            key: spec.dead_letter_key(&connection.contract().service),
            connection,
        }
    }

    /// How many there are. O(1).
    pub async fn count(&self) -> Result<u64> {
        let length = Command::new("XLEN").arg(&self.key);
        self.connection.call(length, Repeat::Safe).await
    }

    /// All of them, oldest first, in pages of 100.
    pub fn letters(&self) -> impl Stream<Item = Result<DeadLetter>> + use<> {
        let first = (self.clone(), Some("-".to_owned()));
        stream::try_unfold(first, |(letters, after)| async move {
            let Some(after) = after else {
                return Ok(None);
            };
            let page = letters.range(&after, "+").await?;
            let next = page.last().map(|letter| format!("({}", letter.id));
            let page = stream::iter(page.into_iter().map(Ok));
            Ok(Some((page, (letters, next))))
        })
        .try_flatten()
    }

    /// One of them.
    pub async fn get(&self, id: &str) -> Result<Option<DeadLetter>> {
        Ok(self.range(id, id).await?.pop())
    }

    /// Hands the oldest to `handler`, at most `limit`, and drops those that it handles; the others stay.
    ///
    /// A service may not publish what it subscribes to, so they do not go back into the stream. Two redrives at the same time may both
    /// handle one.
    pub async fn redrive<F, E>(
        &self,
        limit: usize,
        mut handler: impl FnMut(Event) -> F,
    ) -> Result<Redriven>
    where
        F: Future<Output = Result<(), E>>,
    {
        let mut redriven = Redriven::default();
        let mut letters = std::pin::pin!(self.letters());
        while redriven.handled + redriven.failed < limit
            && let Some(letter) = letters.try_next().await?
        {
            let done = match letter.event {
                Some(event) => handler(event).await.is_ok(),
                None => false,
            };
            if done {
                self.drop_letters(&[&letter.id]).await?;
                redriven.handled += 1;
            } else {
                redriven.failed += 1;
            }
        }
        Ok(redriven)
    }

    /// Removes letters for good and says how many there were.
    pub async fn drop_letters(&self, ids: &[&str]) -> Result<u64> {
        if ids.is_empty() {
            return Ok(0);
        }
        let delete = Command::new("XDEL").arg(&self.key).args(ids);
        self.connection.call(delete, Repeat::Safe).await
    }

    async fn range(&self, first: &str, last: &str) -> Result<Vec<DeadLetter>> {
        let range = Command::new("XRANGE").arg(&self.key).arg(first).arg(last);
        let range = range.arg("COUNT").arg(PAGE);
        let entries: Vec<RawEntry> = self.connection.call(range, Repeat::Safe).await?;
        Ok(entries.iter().map(DeadLetter::of).collect())
    }
}
