//! `functions/vectors/caching.json`: what clients that share a keyspace have in common.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde::Deserialize;

use super::claims::resource;
use super::freshness::{Age, Freshness};
use super::near::key_of;
use crate::event::Event;
use crate::keys::Template;

const CACHING: &str = include_str!("../../../../functions/vectors/caching.json");

#[derive(Deserialize)]
struct Vectors {
    ages: Vec<Read>,
    locks: Vec<Claimed>,
    events: Vec<Told>,
}

#[derive(Deserialize)]
struct Read {
    ttl_ms: u64,
    early: f64,
    stale_for_ms: u64,
    left_ms: Option<u64>,
    chance: f64,
    age: String,
}

#[derive(Deserialize)]
struct Claimed {
    template: String,
    key: String,
    lock: String,
}

#[derive(Deserialize)]
struct Told {
    template: String,
    data: serde_json::Value,
    key: Option<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(CACHING).unwrap()
}

#[test]
fn values_age_as_they_do_for_every_client() {
    let reads = vectors().ages;
    assert!(!reads.is_empty());
    for read in reads {
        let freshness = Freshness {
            early: read.early,
            stale_for: Duration::from_millis(read.stale_for_ms),
        };
        let left = read.left_ms.map(Duration::from_millis);
        let age = freshness.age(left, Duration::from_millis(read.ttl_ms), read.chance);
        let name = match age {
            Age::Fresh => "fresh",
            Age::Ripe => "ripe",
            Age::Stale => "stale",
        };
        assert_eq!(name, read.age, "{left:?} of {freshness:?}");
    }
}

#[test]
fn loads_are_claimed_where_every_client_does() {
    let locks = vectors().locks;
    assert!(!locks.is_empty());
    for claimed in locks {
        let key = Template::new(&*claimed.template).key(resource(&claimed.key));
        assert_eq!(key.unwrap(), claimed.lock);
    }
}

#[test]
fn an_event_means_what_it_does_for_every_client() {
    let events = vectors().events;
    assert!(!events.is_empty());
    for told in events {
        let event = Event::new("agent:updated", "worker", &told.data).unwrap();
        let key = key_of(&event, &Template::new(&*told.template));
        assert_eq!(key, told.key, "{}", told.data);
    }
}
