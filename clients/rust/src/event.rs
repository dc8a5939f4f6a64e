//! Events and their envelope. `functions/vectors/envelopes.json` holds examples.

use std::fmt;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use crate::error::{Error, Result};

/// The largest envelope, in bytes.
pub const MAX_ENVELOPE_BYTES: usize = 1024 * 1024;

const FIRST_VERSION: &str = "1.0";

/// One event. Its data is kept as the JSON text that its producer wrote.
#[derive(Clone)]
#[non_exhaustive]
pub struct Event {
    /// `evt_` and 1 to 64 letters, digits, `_` or `-`. Repetitions are told by it.
    pub event_id: String,
    /// When it was made: RFC 3339 in UTC with milliseconds.
    pub timestamp: String,
    /// The channel, `<group>:<event>`.
    pub channel: String,
    /// The service that made it, by its own word.
    pub service: String,
    /// What the event belongs to, such as a request.
    pub correlation_id: Option<String>,
    /// On whose behalf it was made.
    pub user_id: Option<String>,
    /// Version of the form of its data.
    pub version: String,
    /// Where it was read in a stream. Not in the envelope.
    pub stream_id: Option<String>,
    /// How often it was handed out to consumers; 1 where it came by another way. Not in the envelope.
    pub deliveries: u64,
    data: Box<RawValue>,
}

impl Event {
    /// An event, now, with a new id. `data` is anything that serializes to a JSON object; else [`Error::ValueInvalid`].
    pub fn new(
        channel: impl Into<String>,
        service: impl Into<String>,
        data: &impl Serialize,
    ) -> Result<Self> {
        let data = to_raw_value(data)
            .ok()
            .filter(|data| is_object(data))
            .ok_or_else(|| Error::ValueInvalid("data of an event is an object".to_owned()))?;
        Ok(Self {
            event_id: format!("evt_{}", Uuid::new_v4().simple()),
            timestamp: timestamp(Timestamp::now()),
            channel: channel.into(),
            service: service.into(),
            correlation_id: None,
            user_id: None,
            version: FIRST_VERSION.to_owned(),
            stream_id: None,
            deliveries: 1,
            data,
        })
    }

    /// The event under another id: one that was stored with what it tells of, so that it counts once however often it is emitted.
    #[must_use]
    pub fn with_event_id(mut self, id: impl Into<String>) -> Self {
        self.event_id = id.into();
        self
    }

    /// The event as part of something larger, such as a request.
    #[must_use]
    pub fn with_correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// The event on behalf of a user.
    #[must_use]
    pub fn with_user_id(mut self, id: impl Into<String>) -> Self {
        self.user_id = Some(id.into());
        self
    }

    /// The event with data of another form than `1.0`.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    pub(crate) fn at(mut self, stream_id: String, deliveries: u64) -> Self {
        self.stream_id = Some(stream_id);
        self.deliveries = deliveries;
        self
    }

    /// What it tells; [`Error::ValueInvalid`] where that is no `T`.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.data.get())
            .map_err(|_| Error::ValueInvalid(format!("{}: data of another form", self.channel)))
    }

    /// What it tells, as JSON text.
    pub fn data_json(&self) -> &str {
        self.data.get()
    }

    /// The envelope: JSON, fields always in the same order, no spaces; [`Error::ValueInvalid`] where it would be none.
    pub fn encode(&self) -> Result<String> {
        if !is_event_id(&self.event_id) {
            return Err(Error::ValueInvalid(
                "an event_id is evt_ and 1 to 64 letters, digits, _ or -".to_owned(),
            ));
        }
        let envelope = Written {
            event_id: &self.event_id,
            timestamp: &self.timestamp,
            channel: &self.channel,
            service: &self.service,
            data: &self.data,
            metadata: WrittenMetadata {
                correlation_id: self.correlation_id.as_deref(),
                user_id: self.user_id.as_deref(),
                version: &self.version,
            },
        };
        let text = serde_json::to_string(&envelope)
            .map_err(|_| Error::ValueInvalid("the event is not JSON".to_owned()))?;
        if text.len() > MAX_ENVELOPE_BYTES {
            return Err(Error::ValueInvalid(format!(
                "an envelope has at most {MAX_ENVELOPE_BYTES} bytes"
            )));
        }
        Ok(text)
    }

    /// Reads an envelope; fields that are not known are left alone. [`Error::ValueInvalid`] where it is none.
    pub fn decode(envelope: &[u8]) -> Result<Self> {
        let read: Option<Read> = serde_json::from_slice(envelope).ok();
        let read = read
            .filter(|read| is_event_id(&read.event_id) && is_object(&read.data))
            .ok_or_else(|| Error::ValueInvalid("not an envelope".to_owned()))?;
        Ok(Self {
            event_id: read.event_id,
            timestamp: read.timestamp,
            channel: read.channel,
            service: read.service,
            correlation_id: read.metadata.correlation_id,
            user_id: read.metadata.user_id,
            version: read.metadata.version,
            stream_id: None,
            deliveries: 1,
            data: read.data,
        })
    }
}

/// Without the data, which may be anybody's secret.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("event_id", &self.event_id)
            .field("timestamp", &self.timestamp)
            .field("channel", &self.channel)
            .field("service", &self.service)
            .field("correlation_id", &self.correlation_id)
            .field("version", &self.version)
            .field("stream_id", &self.stream_id)
            .field("deliveries", &self.deliveries)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Written<'a> {
    event_id: &'a str,
    timestamp: &'a str,
    channel: &'a str,
    service: &'a str,
    data: &'a RawValue,
    metadata: WrittenMetadata<'a>,
}

#[derive(Serialize)]
struct WrittenMetadata<'a> {
    correlation_id: Option<&'a str>,
    user_id: Option<&'a str>,
    version: &'a str,
}

#[derive(Deserialize)]
struct Read {
    event_id: String,
    timestamp: String,
    channel: String,
    service: String,
    data: Box<RawValue>,
    metadata: ReadMetadata,
}

#[derive(Deserialize)]
struct ReadMetadata {
    correlation_id: Option<String>,
    user_id: Option<String>,
    #[serde(default = "first_version")]
    version: String,
}

fn first_version() -> String {
    FIRST_VERSION.to_owned()
}

fn is_object(data: &RawValue) -> bool {
    data.get().starts_with('{')
}

fn is_event_id(text: &str) -> bool {
    text.strip_prefix("evt_").is_some_and(|id| {
        (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    })
}

/// RFC 3339 in UTC with milliseconds: `2026-01-02T03:04:05.678Z`.
pub(crate) fn timestamp(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_of_ones_own_is_read_again() {
        let made = Event::new("task:created", "dashboard", &json!({"id": 7}))
            .unwrap()
            .with_correlation_id("req-1")
            .with_user_id("u-2")
            .with_version("2.0");
        let read = Event::decode(made.encode().unwrap().as_bytes()).unwrap();
        assert_eq!(read.event_id, made.event_id);
        assert_eq!(read.timestamp, made.timestamp);
        assert_eq!(read.correlation_id.as_deref(), Some("req-1"));
        assert_eq!(read.user_id.as_deref(), Some("u-2"));
        assert_eq!(read.version, "2.0");
        assert_eq!(read.data::<serde_json::Value>().unwrap(), json!({"id": 7}));
    }

    #[test]
    fn events_of_other_data_than_objects_are_not_made() {
        for data in [json!([]), json!(7), json!(null), json!("{}")] {
            let error = Event::new("task:created", "dashboard", &data).unwrap_err();
            assert!(matches!(error, Error::ValueInvalid(_)), "{data}");
        }
    }

    #[test]
    fn ids_and_sizes_have_bounds() {
        let event = Event::new("task:created", "dashboard", &json!({})).unwrap();
        for id in [
            "evt_",
            "id_1",
            "evt_a b",
            &format!("evt_{}", "x".repeat(65)),
        ] {
            assert!(event.clone().with_event_id(id).encode().is_err(), "{id}");
        }
        let large = json!({"text": "x".repeat(MAX_ENVELOPE_BYTES)});
        let large = Event::new("task:created", "dashboard", &large).unwrap();
        assert!(large.encode().is_err());
    }

    #[test]
    fn data_is_kept_out_of_debug_output() {
        let event = Event::new("task:created", "dashboard", &json!({"k": "hunter2"})).unwrap();
        assert!(!format!("{event:?}").contains("hunter2"));
    }

    #[test]
    fn timestamps_have_milliseconds() {
        let moment = Timestamp::from_microsecond(1_767_323_045_678_999).unwrap();
        assert_eq!(timestamp(moment), "2026-01-02T03:04:05.678Z");
        let moment = Timestamp::from_millisecond(0).unwrap();
        assert_eq!(timestamp(moment), "1970-01-01T00:00:00.000Z");
    }
}
