//! Reads of one consumer, on a connection of their own.

use std::sync::Arc;
use std::time::Duration;

use crate::command::Command;
use crate::connection::{Link, checked, parsed};
use crate::error::{Error, Result};
use crate::events::entry::{Entry, RawEntry};
use crate::events::group::Group;

pub(super) struct Reads {
    group: Arc<Group>,
    link: Option<Link>,
}

impl Reads {
    pub(super) fn new(group: Arc<Group>) -> Self {
        Self { group, link: None }
    }

    /// What this consumer was handed out in a former life, after this entry.
    pub(super) async fn unfinished(&mut self, channel: usize, after: &str) -> Result<Vec<Entry>> {
        let key = self.group.channels()[channel].stream_key();
        let read = self.group.read().arg("STREAMS").arg(key).arg(after);
        let mut streams = self.answer(read, Duration::ZERO).await?;
        let entries = streams.pop().map(|(_, entries)| entries);
        self.group
            .counted(channel, entries.unwrap_or_default())
            .await
    }

    /// What nobody was handed out yet of some channels. Waits for it as long as `block`.
    pub(super) async fn new_entries(
        &mut self,
        channels: &[usize],
        block: Duration,
    ) -> Result<Vec<Entry>> {
        // The server takes none at all for ever.
        let block = block.max(Duration::from_millis(1));
        let keys: Vec<String> = channels
            .iter()
            .map(|&channel| self.group.channels()[channel].stream_key())
            .collect();
        let read = self.group.read().arg("BLOCK").arg(block.as_millis());
        let read = read
            .arg("STREAMS")
            .args(&keys)
            .args(keys.iter().map(|_| ">"));
        let streams = self.answer(read, block).await?;
        let mut new = Vec::new();
        for (stream, entries) in streams {
            if let Some(place) = keys.iter().position(|key| *key == stream) {
                new.extend(entries.into_iter().map(|raw| Entry {
                    channel: channels[place],
                    raw,
                    deliveries: 1,
                }));
            }
        }
        Ok(new)
    }

    /// Ends the connection.
    pub(super) fn disconnect(&mut self) {
        self.link = None;
    }

    /// Its outcome may be unknown: entries were handed out that did not arrive, and are among the unfinished.
    async fn answer(
        &mut self,
        read: Command,
        block: Duration,
    ) -> Result<Vec<(String, Vec<RawEntry>)>> {
        let connection = self.group.connection();
        let link = match self.link.take() {
            Some(link) => link,
            None => connection.dedicated().await?,
        };
        let patience = block + connection.settings().command_timeout;
        let name = read.name();
        // Taken out meanwhile: a read that is given up leaves an answer behind that would be the next one's.
        let Ok(reply) = link.ask(&read, patience).await else {
            connection.forget(link.generation());
            return Err(Error::OutcomeUnknown {
                command: name.to_owned(),
                repeatable: true,
            });
        };
        let reply = match checked(name, reply) {
            Err(error) if error.is_undone() => {
                connection.forget(link.generation());
                return Err(error);
            }
            reply => {
                self.link = Some(link);
                reply?
            }
        };
        let streams: Option<Vec<(String, Vec<RawEntry>)>> = parsed(name, reply)?;
        Ok(streams.unwrap_or_default())
    }
}
