//! Entries of streams.

use std::borrow::Cow;

use redis::{FromRedisValue, ParsingError, Value};

use crate::event::Event;

/// An entry of a stream as a server sends it.
pub(super) struct RawEntry {
    id: String,
    /// Names and values in turn; none where the entry itself is gone.
    fields: Vec<Vec<u8>>,
}

impl FromRedisValue for RawEntry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (id, fields): (String, Option<Vec<Vec<u8>>>) = redis::from_redis_value(value)?;
        Ok(Self {
            id,
            fields: fields.unwrap_or_default(),
        })
    }
}

impl RawEntry {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Names and values in turn.
    pub(super) fn fields(&self) -> &[Vec<u8>] {
        &self.fields
    }

    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        let mut pairs = self.fields.chunks_exact(2);
        pairs
            .find(|pair| pair[0] == name.as_bytes())
            .map(|pair| pair[1].as_slice())
    }

    /// The event's id, as far as it holds one.
    pub(super) fn event_id(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.field("event_id").unwrap_or_default())
    }

    pub(super) fn event(&self) -> Option<Event> {
        Event::decode(self.field("envelope")?).ok()
    }
}

/// One entry as it was handed out.
pub(super) struct Entry {
    /// Its channel's place among those of the consumer.
    pub(super) channel: usize,
    pub(super) raw: RawEntry,
    /// 0: it is acknowledged.
    pub(super) deliveries: u64,
}

impl Entry {
    /// The event that it holds.
    pub(super) fn event(&self) -> Option<Event> {
        let event = self.raw.event()?;
        Some(event.at(self.raw.id().to_owned(), self.deliveries))
    }

    /// Its stream keeps it no more.
    pub(super) fn is_gone(&self) -> bool {
        self.raw.fields.is_empty()
    }
}
