//! `functions/vectors`: what each client and each language has in common, byte for byte.
#![allow(clippy::unwrap_used)]

use cachebus::{ChannelSpec, Encoding, Error, Event, Parts, Template, decode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Deserializer, Value};
use serde_transcode::Transcoder;
use std::collections::BTreeMap;
use std::time::Duration;

const ENVELOPES: &str = include_str!("../../../functions/vectors/envelopes.json");
const KEYS: &str = include_str!("../../../functions/vectors/keys.json");
const VALUES: &str = include_str!("../../../functions/vectors/values.json");

fn cases<T: DeserializeOwned>(file: &str, name: &str) -> Vec<T> {
    let mut sections: BTreeMap<String, Box<RawValue>> = serde_json::from_str(file).unwrap();
    let cases: Vec<T> = serde_json::from_str(sections.remove(name).unwrap().get()).unwrap();
    assert!(!cases.is_empty());
    cases
}

/// A value as the vectors write it, its fields in their order.
struct InOrder(Box<RawValue>);

impl Serialize for InOrder {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reader = Deserializer::from_str(self.0.get());
        Transcoder::new(&mut reader).serialize(serializer)
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn parts(named: BTreeMap<String, Value>) -> Parts {
    Parts::named(named.into_iter().map(|(name, part)| {
        let text = part
            .as_str()
            .map_or_else(|| part.to_string(), str::to_owned);
        (name, text)
    }))
}

#[derive(serde::Deserialize)]
struct Told {
    event_id: String,
    timestamp: String,
    channel: String,
    service: String,
    data: Box<RawValue>,
    correlation_id: Option<String>,
    user_id: Option<String>,
    version: String,
}

impl Told {
    fn event(self) -> Event {
        let mut event = Event::new(self.channel, self.service, &InOrder(self.data))
            .unwrap()
            .with_event_id(self.event_id)
            .with_version(self.version);
        event.timestamp = self.timestamp;
        event.correlation_id = self.correlation_id;
        event.user_id = self.user_id;
        event
    }
}

#[derive(serde::Deserialize)]
struct EnvelopeCase {
    event: Told,
    envelope: String,
}

#[test]
fn envelopes() {
    for case in cases::<EnvelopeCase>(ENVELOPES, "envelopes") {
        assert_eq!(case.event.event().encode().unwrap(), case.envelope);
        let read = Event::decode(case.envelope.as_bytes()).unwrap();
        assert_eq!(read.encode().unwrap(), case.envelope);
    }
}

#[test]
fn envelopes_of_others() {
    for case in cases::<EnvelopeCase>(ENVELOPES, "read") {
        let read = Event::decode(case.envelope.as_bytes()).unwrap();
        assert_eq!(read.encode().unwrap(), case.event.event().encode().unwrap());
    }
}

#[derive(serde::Deserialize)]
struct NoEnvelope {
    envelope: String,
    why: String,
}

#[test]
fn no_envelopes() {
    for case in cases::<NoEnvelope>(ENVELOPES, "invalid") {
        let read = Event::decode(case.envelope.as_bytes());
        assert!(matches!(read, Err(Error::ValueInvalid(_))), "{}", case.why);
    }
}

#[derive(serde::Deserialize)]
struct KeyCase {
    template: String,
    parts: BTreeMap<String, Value>,
    #[serde(default)]
    key: String,
    #[serde(default)]
    pattern: String,
    #[serde(default)]
    why: String,
}

#[test]
fn keys() {
    for case in cases::<KeyCase>(KEYS, "keys") {
        let template = Template::new(case.template);
        assert_eq!(template.key(parts(case.parts)).unwrap(), case.key);
        assert!(template.matches(&case.key));
    }
}

#[test]
fn patterns() {
    for case in cases::<KeyCase>(KEYS, "patterns") {
        let template = Template::new(case.template);
        assert_eq!(template.pattern(parts(case.parts)).unwrap(), case.pattern);
    }
}

#[test]
fn no_keys() {
    for case in cases::<KeyCase>(KEYS, "invalid") {
        let key = Template::new(case.template).key(parts(case.parts));
        assert!(matches!(key, Err(Error::KeyInvalid(_))), "{}", case.why);
    }
}

#[test]
fn parts_without_a_name_are_for_templates_with_one_placeholder() {
    let agent = Template::new("agent:{id}");
    assert_eq!(agent.key(7).unwrap(), "agent:7");
    assert_eq!(agent.key("a").unwrap(), "agent:a");
    assert_eq!(Template::new("agents:all").key(()).unwrap(), "agents:all");
    let two = Template::new("knowledge:{agent}:{id}");
    assert!(two.key(7).is_err() && two.key(()).is_err());
    let named = Parts::named([("agent", "a1")]).and("id", 7);
    assert_eq!(two.key(named).unwrap(), "knowledge:a1:7");
    assert!(Template::new("agents:all").key(7).is_err());
}

#[test]
fn keys_of_others_are_told_apart() {
    let agent = Template::new("agent:{id}");
    for key in ["agent", "agent:", "agent:a:b", "agents:a", "x:agent:a"] {
        assert!(!agent.matches(key), "{key}");
    }
}

#[derive(serde::Deserialize)]
struct EventKeys {
    channel: String,
    service: String,
    ids: String,
    history: String,
    stream: String,
    dead: String,
}

#[test]
fn keys_of_events() {
    for case in cases::<EventKeys>(KEYS, "events") {
        let spec = ChannelSpec::new(case.channel, true, 1, Duration::from_secs(1));
        assert_eq!(spec.ids_key(), case.ids);
        assert_eq!(spec.history_key(), case.history);
        assert_eq!(spec.stream_key(), case.stream);
        assert_eq!(spec.dead_letter_key(&case.service), case.dead);
    }
}

#[derive(serde::Deserialize)]
struct ValueCase {
    value: Box<RawValue>,
    #[serde(default)]
    json: String,
    #[serde(default)]
    msgpack: String,
    #[serde(default)]
    hex: String,
}

impl ValueCase {
    fn plain(&self) -> Value {
        serde_json::from_str(self.value.get()).unwrap()
    }
}

#[test]
fn values() {
    for case in cases::<ValueCase>(VALUES, "values") {
        let plain = case.plain();
        let value = InOrder(case.value);
        let json = Encoding::json().encode(&value).unwrap();
        assert_eq!(String::from_utf8(json).unwrap(), case.json);
        let packed = Encoding::message_pack().encode(&value).unwrap();
        assert_eq!(packed, bytes(&case.msgpack), "{}", case.json);
        for data in [case.json.as_bytes(), &packed] {
            assert_eq!(decode::<Value>(data).unwrap(), plain);
        }
    }
}

#[test]
fn values_of_others() {
    for case in cases::<ValueCase>(VALUES, "foreign") {
        assert_eq!(decode::<Value>(case.json.as_bytes()).unwrap(), case.plain());
    }
}

#[test]
fn compressed_values() {
    for case in cases::<ValueCase>(VALUES, "zlib") {
        assert_eq!(decode::<Value>(&bytes(&case.hex)).unwrap(), case.plain());
    }
}

#[derive(serde::Deserialize)]
struct NoValue {
    hex: String,
    why: String,
}

#[test]
fn no_values() {
    for case in cases::<NoValue>(VALUES, "invalid") {
        let value = decode::<Value>(&bytes(&case.hex));
        assert!(matches!(value, Err(Error::ValueInvalid(_))), "{}", case.why);
    }
}
