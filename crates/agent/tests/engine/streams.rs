//! Streams of durable channels of a pod that leads.

use crate::bus::Bus;
use crate::data::lead;
use crate::library::{calls, is_served};
use crate::pod::{Pod, data, until_is};
use cachebus_core::names::Component;
use cachebus_core::protocol::{AgentStatus, Consumer, Consumers, ConsumersStatus, Phase};
use std::time::Duration;

const CREATED: &str = "events:task:created:stream";
const DONE: &str = "events:task:done:stream";
const LOST: &str = "events:task:created:lost";

const DAY: Duration = Duration::from_hours(24);

/// A pod that leads, empty, and whose streams its agent has looked at.
async fn leading(bus: &Bus) -> Pod<'_> {
    let pod = Pod::start(bus, Component::Redis);
    let status = pod.phase(Phase::Sealed).await;
    assert_eq!(data(&status).consumers, None);
    lead(&pod, 1).await;
    consumers(&pod, ConsumersStatus::default()).await;
    pod
}

/// Waits until the agent says this of the consumers.
async fn consumers(pod: &Pod<'_>, expected: ConsumersStatus) {
    let says = |status: &AgentStatus| data(status).consumers.as_ref() == Some(&expected);
    pod.status_with(says).await;
}

fn only(service: &str) -> Consumers {
    Consumers {
        number: 1,
        first: vec![Consumer {
            channel: "task:created".to_owned(),
            service: service.to_owned(),
        }],
    }
}

/// Waits until a stream has these groups; they are listed in the order of their names.
async fn groups(bus: &Bus, stream: &str, expected: &str) {
    until_is(expected.to_owned(), || async {
        let told = bus.redis(&["XINFO", "GROUPS", stream]).await;
        let words: Vec<&str> = told.lines().collect();
        let named = words.windows(2).filter(|pair| pair[0] == "name");
        named.map(|pair| pair[1]).collect::<Vec<_>>().join(" ")
    })
    .await;
}

async fn has_metric(pod: &Pod<'_>, line: &str) -> bool {
    let (_, metrics) = pod.get("/metrics").await;
    metrics.contains(line)
}

async fn length(bus: &Bus, stream: &str, expected: &str) {
    until_is(expected.to_owned(), || async {
        bus.redis(&["XLEN", stream]).await
    })
    .await;
}

/// Adds entries that are decades old.
async fn add(bus: &Bus, stream: &str, numbers: std::ops::Range<u32>) {
    let lines: Vec<String> = numbers
        .map(|number| format!("XADD {stream} {number}-1 event_id e envelope {{}}\n"))
        .collect();
    bus.redis_typed(&lines.concat()).await;
}

#[tokio::test]
async fn groups_are_made_once_there_is_a_stream_and_an_empty_bus_stays_empty() {
    let mut bus = Bus::new();
    bus.keep_events(DAY, &["a", "b"], DAY);
    let pod = leading(&bus).await;
    assert_eq!(bus.redis(&["DBSIZE"]).await, "0");
    bus.redis(&["XADD", CREATED, "*", "event_id", "e"]).await;
    groups(&bus, CREATED, "a b").await;
    // They begin with all that the stream keeps.
    let read = ["XREADGROUP", "GROUP", "a", "c", "STREAMS", CREATED, ">"];
    assert!(bus.redis(&read).await.contains("event_id"));
    assert_eq!(bus.redis(&["DBSIZE"]).await, "1");
    for told in [
        "\nevents_stream_length{channel=\"task:created\"} 1.0\n",
        "\nevents_stream_length{channel=\"task:done\"} 0.0\n",
    ] {
        until_is(true, || has_metric(&pod, told)).await;
    }

    // At rest nothing is changed, though it is looked at.
    let before = calls(&bus, "fcall_ro").await;
    until_is(true, || async {
        calls(&bus, "fcall_ro").await >= before + 2
    })
    .await;
    assert_eq!(calls(&bus, "xgroup|create").await, 2);
    assert_eq!(calls(&bus, "fcall").await, 0);
    pod.stop().await;
}

#[tokio::test]
async fn a_group_of_no_service_is_removed_and_what_it_held_back_is_dropped() {
    let mut bus = Bus::new();
    bus.keep_events(DAY, &["a"], Duration::ZERO);
    let pod = leading(&bus).await;
    add(&bus, DONE, 1..12_000).await;
    let create = |group, start| ["XGROUP", "CREATE", DONE, group, start];
    bus.redis(&create("gone", "0")).await;
    bus.redis(&create("a", "11999-1")).await;
    groups(&bus, DONE, "a").await;
    length(&bus, DONE, "0").await;
    pod.stop().await;
}

#[tokio::test]
async fn who_is_behind_or_has_lost_events_is_told_of() {
    let mut bus = Bus::new();
    bus.keep_events(DAY, &["a", "b"], DAY);
    let pod = leading(&bus).await;
    let revision = pod.revision().await;
    add(&bus, CREATED, 1..4).await;
    for (group, start) in [("a", "0"), ("b", "3-1")] {
        bus.redis(&["XGROUP", "CREATE", CREATED, group, start])
            .await;
    }
    let behind = ConsumersStatus {
        behind: only("a"),
        lost: Consumers::default(),
    };
    consumers(&pod, behind).await;
    // Whoever waits for news hears of it.
    pod.status_after(&revision).await;
    length(&bus, CREATED, "3").await;

    // Somebody makes room by force.
    let trimmed = ["FCALL", "cachebus_trim", "2", CREATED, LOST, "1", "1"];
    bus.redis(&trimmed).await;
    assert_eq!(bus.redis(&["HGET", LOST, "a"]).await, "2");
    let lost = ConsumersStatus {
        behind: only("a"),
        lost: only("a"),
    };
    consumers(&pod, lost).await;
    let told = "\nevents_lost_total{channel=\"task:created\",service=\"a\"} 2.0\n";
    assert!(has_metric(&pod, told).await);
    pod.stop().await;
}

#[tokio::test]
async fn without_the_library_nothing_is_done_and_the_server_stays_looked_after() {
    let mut bus = Bus::new();
    bus.keep_events(DAY, &["a"], DAY);
    let pod = leading(&bus).await;
    bus.redis(&["XADD", CREATED, "1-1", "event_id", "e"]).await;
    groups(&bus, CREATED, "a").await;
    // As much memory as does not take the library, and nothing is evicted for it.
    let full = ["maxmemory-policy", "noeviction", "maxmemory", "1"];
    let full = [&["CONFIG", "SET"], &full[..]].concat();
    assert_eq!(bus.redis(&full).await, "OK");
    assert_eq!(bus.redis(&["FUNCTION", "FLUSH"]).await, "OK");
    let told = "\nevents_stream_length{channel=\"task:created\"}";
    until_is(false, || has_metric(&pod, told)).await;
    assert_eq!(data(&pod.status().await).phase, Phase::Leading);
    assert_eq!(bus.redis(&["CONFIG", "SET", "maxmemory", "0"]).await, "OK");
    pod.status_with(is_served).await;
    let behind = ConsumersStatus {
        behind: only("a"),
        lost: Consumers::default(),
    };
    consumers(&pod, behind).await;
    pod.stop().await;
}
