use std::sync::Arc;
use std::time::Duration;

use cachebus::{Bound, CacheBus, ErrorKind, Event, Outcome, Source};
use futures::TryStreamExt as _;
use serde_json::json;

use crate::bus::{ask, client, client_by, contract, grant, server, url};
use crate::counted::Counted;
use crate::process::HOST;
use crate::wait::until;

fn created(bus: &CacheBus, id: u64) -> Event {
    bus.events()
        .event("task:created", &json!({"id": id}))
        .unwrap()
}

fn updated(bus: &CacheBus, id: u64) -> Event {
    bus.events()
        .event("agent:updated", &json!({"id": id}))
        .unwrap()
}

#[tokio::test]
async fn an_event_counts_once() {
    let process = server(&[]).await;
    let bus = client(&process);
    let event = created(&bus, 7);
    let first = bus.events().emit(&event).await.unwrap();
    assert_eq!(first.outcome, Outcome::Emitted);
    let again = bus.events().emit(&event).await.unwrap();
    assert_eq!(again.outcome, Outcome::Duplicate);
    assert_eq!(again.stream_id, None);
    let kept = bus.events().history("task:created", 10).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].encode().unwrap(), event.encode().unwrap());
    let replayed: Vec<Event> = bus
        .events()
        .replay("task:created", &Bound::Open, &Bound::Open)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(replayed.len(), 1);
    assert_eq!(replayed[0].stream_id, first.stream_id);
}

#[tokio::test]
async fn a_replay_reads_pages_between_its_bounds() {
    let process = server(&[]).await;
    let bus = client(&process);
    let mut places = Vec::new();
    for id in 0..250 {
        let emitted = bus.events().emit(&created(&bus, id)).await.unwrap();
        places.push(emitted.stream_id.unwrap());
    }
    let (since, last) = (
        Bound::StreamId(places[20].clone()),
        Bound::StreamId(places[239].clone()),
    );
    let replayed: Vec<Event> = bus
        .events()
        .replay("task:created", &since, &last)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let replayed: Vec<_> = replayed
        .into_iter()
        .filter_map(|event| event.stream_id)
        .collect();
    assert_eq!(replayed, places[20..240]);
}

#[tokio::test]
async fn without_the_library_only_what_is_not_durable_is_emitted() {
    let process = crate::process::Process::server(&[]);
    grant(&mut process.admin().await, &[]).await;
    let bus = client(&process);
    let mut heard = bus.events().subscribe(&["agent"]).await.unwrap();
    let event = updated(&bus, 7);
    let emitted = bus.events().emit(&event).await.unwrap();
    assert_eq!((emitted.outcome, emitted.receivers), (Outcome::Emitted, 1));
    assert_eq!(heard.next().await.unwrap().event_id, event.event_id);
    assert_eq!(
        bus.events()
            .history("agent:updated", 9)
            .await
            .unwrap()
            .len(),
        1
    );
    let error = bus.events().emit(&created(&bus, 7)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionsMissing);
}

#[tokio::test]
async fn what_is_not_granted_or_off_is_said_and_not_sent() {
    let process = server(&[]).await;
    let bus = client(&process);
    let other = bus.events().event("task:failed", &json!({})).unwrap();
    let error = bus.events().emit(&other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContractError);
    let mut document = contract();
    document["events"]["enabled"] = false.into();
    let off = client_by(&process, &document);
    let emitted = off.events().emit(&created(&off, 7)).await.unwrap();
    assert_eq!(emitted.outcome, Outcome::Disabled);
    assert_eq!(
        bus.events().history("task:created", 9).await.unwrap().len(),
        0
    );
}

#[tokio::test]
async fn values_go_with_their_event() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    agents.mset([(1, &1), (2, &2), (3, &3)]).await.unwrap();
    let event = updated(&bus, 1);
    let emitted = bus
        .events()
        .invalidate(&agents, [1, 2], &event)
        .await
        .unwrap();
    assert_eq!((emitted.outcome, emitted.removed), (Outcome::Emitted, 2));
    assert_eq!(agents.mget([1, 2, 3]).await.unwrap(), [None, None, Some(3)]);
    let none: [u64; 0] = [];
    assert!(
        bus.events()
            .invalidate(&agents, none, &event)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_durable_event_waits_for_its_copies() {
    let (process, replica) = (server(&[]).await, server(&[]).await);
    let mut document = contract();
    document["durability"] =
        json!({"mode": "quorum", "confirm": {"command": "WAIT", "replicas": 1, "timeoutMs": 200}});
    let bus = client_by(&process, &document);
    let event = created(&bus, 7);
    let error = bus.events().emit(&event).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unconfirmed);
    assert!(error.is_retryable());
    let port = process.port.to_string();
    ask(&mut replica.admin().await, &["REPLICAOF", HOST, &port]).await;
    until("it is confirmed", async || {
        let emitted = bus.events().emit(&event).await.ok()?;
        assert_eq!(emitted.outcome, Outcome::Duplicate);
        Some(())
    })
    .await;
    // Others are not waited for.
    let plain = bus.events().emit(&updated(&bus, 7)).await.unwrap();
    assert_eq!(plain.outcome, Outcome::Emitted);
}

#[tokio::test]
async fn a_subscription_that_was_cut_off_fills_in_what_it_missed() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let mut heard = bus
        .events()
        .subscribe(&["agent", "task:created"])
        .await
        .unwrap();
    bus.events().emit(&updated(&bus, 0)).await.unwrap();
    assert_eq!(heard.next().await.unwrap().channel, "agent:updated");
    ask(&mut admin, &["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let mut emitted = Vec::new();
    for id in 1..=50 {
        let event = updated(&bus, id);
        bus.events().emit(&event).await.unwrap();
        emitted.push(event.event_id);
    }
    let mut came = Vec::new();
    for _ in 0..50 {
        came.push(heard.next().await.unwrap().event_id);
    }
    assert_eq!(came, emitted);
    assert_eq!(heard.gaps(), 0);
    ask(&mut admin, &["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    for id in 0..150 {
        bus.events().emit(&updated(&bus, id)).await.unwrap();
    }
    heard.next().await.unwrap();
    assert_eq!(heard.gaps(), 1);
}

#[tokio::test]
async fn what_is_no_envelope_is_counted() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let counted = Arc::new(Counted::default());
    let bus = CacheBus::builder(Source::url(url(&process), contract().to_string()))
        .metrics(Arc::clone(&counted) as Arc<_>)
        .open()
        .unwrap();
    let mut heard = bus.events().subscribe(&["agent"]).await.unwrap();
    ask(&mut admin, &["PUBLISH", "agent:updated", "{"]).await;
    let of_another = created(&bus, 7).encode().unwrap();
    ask(&mut admin, &["PUBLISH", "agent:updated", &of_another]).await;
    bus.events().emit(&updated(&bus, 7)).await.unwrap();
    heard.next().await.unwrap();
    assert_eq!((counted.of("invalid"), counted.of("consumed")), (2, 1));
}

#[tokio::test]
async fn a_subscription_that_is_denied_says_so() {
    let process = server(&[]).await;
    let mut document = contract();
    document["events"]["subscribe"][0]["channel"] = "agent:deleted".into();
    let bus = client_by(&process, &document);
    let wait = Duration::from_secs(5);
    let subscribed = tokio::time::timeout(wait, bus.events().subscribe(&["agent"]));
    let error = subscribed.await.unwrap().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Denied);
}
