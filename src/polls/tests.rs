#![allow(clippy::unwrap_used)]

use super::{BACKOFF, backoff};
use crate::agents::{Address, Agents, Revision};
use crate::controllers::cachebus::Next;
use crate::metrics::Metrics;
use crate::pki;
use crate::testing::{Pods, World, bus_of, key};
use cachebus_core::names::Component;
use cachebus_core::tls::StoredCertificates;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A bus at rest, every agent of which holds a request.
async fn at_rest(hold: Duration) -> (World, Pods) {
    let mut world = World::with_bus();
    world.settle().await;
    let pods = Pods::start_holding(&world, hold).await;
    world.rest().await;
    pods.all_held().await;
    world.requests();
    world.api.requests();
    (world, pods)
}

fn endpoints(world: &World, slice: &str) -> Vec<Value> {
    let slice = world.api.get("endpointslices", slice).unwrap();
    let endpoints = slice["endpoints"].as_array().unwrap().iter();
    endpoints
        .map(|endpoint| endpoint["targetRef"]["name"].clone())
        .collect()
}

fn role(world: &World, pod: &str) -> Value {
    world.api.get("pods", pod).unwrap()["metadata"]["labels"]["cachebus.dev/role"].clone()
}

#[tokio::test]
async fn a_failover_by_sentinels_asks_for_a_pass_and_that_pass_moves_routes_record_and_label() {
    let (mut world, pods) = at_rest(Duration::from_mins(1)).await;
    assert_eq!(endpoints(&world, "b-primary"), ["b-redis-0"]);

    pods.fail_over("b-redis-1");
    world.requested().await;
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::Soon);
    assert_eq!(endpoints(&world, "b-primary"), ["b-redis-1"]);
    assert_eq!(endpoints(&world, "b-replicas"), ["b-redis-2"]);
    let recorded = world.api.get("cachebuses", "b").unwrap()["status"]["topology"].clone();
    assert_eq!(recorded["primary"], "b-redis-1");
    assert_eq!(role(&world, "b-redis-1"), "primary");
    assert_eq!(role(&world, "b-redis-0"), "replica");
    let writes = world.api.writes();
    let routed = writes
        .iter()
        .filter(|write| write.contains("endpointslices"));
    assert_eq!(routed.count(), 2, "each slice is written once: {writes:#?}");

    world.rest().await;
    let replicas = endpoints(&world, "b-replicas");
    assert_eq!(replicas, ["b-redis-0", "b-redis-2"]);
    pods.all_held().await;
}

#[tokio::test]
async fn a_bus_at_rest_asks_for_nothing() {
    let (mut world, pods) = at_rest(Duration::from_millis(500)).await;
    pods.without_news(12).await;
    assert_eq!(world.requests(), 0);
    assert_eq!(world.api.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn news_that_a_pass_has_seen_already_asks_for_no_other() {
    let (mut world, pods) = at_rest(Duration::from_mins(1)).await;
    pods.fail_over("b-redis-1");
    world.rest().await;
    pods.all_held().await;
    world.requests();
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::Later);
    pods.all_held().await;
    assert_eq!(world.requests(), 0);
}

#[tokio::test]
async fn the_polls_of_a_bus_that_is_not_served_any_more_end() {
    let (world, pods) = at_rest(Duration::from_mins(1)).await;
    world.context.polls.end(&key());
    pods.none_held().await;
}

#[tokio::test]
async fn polls_end_with_the_certificates_that_they_were_begun_with() {
    let (world, pods) = at_rest(Duration::from_mins(1)).await;
    let bus = bus_of(&world.api);
    let now = k8s_openapi::jiff::Timestamp::now().as_second();
    let others = pki::settle(&bus, &StoredCertificates::default(), now)
        .unwrap()
        .unwrap();
    let agents = Agents::new(Metrics::new()).of(&bus, &others).unwrap();
    let heard = (0..3).map(|ordinal| {
        let pod = bus.names.pod(Component::Redis, ordinal);
        let address = Address::of(
            Component::Redis,
            &pod,
            &format!("127.77.15.{}", ordinal + 1),
        );
        (address.unwrap(), Revision::read("\"0\"").unwrap())
    });
    let polls = &world.context.polls;
    polls.follow(&key(), &Arc::new(agents), heard.collect());
    pods.none_held().await;
}

#[tokio::test]
async fn the_poll_of_a_pod_that_is_gone_ends_and_its_successor_is_polled_where_it_is() {
    let (mut world, pods) = at_rest(Duration::from_mins(1)).await;
    let gone = world.api.get("pods", "b-redis-2").unwrap();
    world.api.remove("pods", "b-redis-2");
    world.see();
    world.pass().await.unwrap();
    pods.held_but("b-redis-2").await;

    world
        .api
        .put("/api/v1/namespaces/data/pods/b-redis-2", gone);
    world.see();
    world.pass().await.unwrap();
    pods.all_held().await;

    world.api.change("pods", "b-redis-2", |pod| {
        pod["status"]["podIP"] = json!("127.77.16.99");
    });
    world.see();
    world.pass().await.unwrap();
    pods.held_but("b-redis-2").await;
}

#[test]
fn waits_after_failures_double_up_to_the_longest() {
    let waits: Vec<_> = (0..40).map(backoff).collect();
    assert!(waits.is_sorted());
    assert_eq!((waits[0], waits[1]), (BACKOFF.0, BACKOFF.0 * 2));
    assert_eq!(waits.last(), Some(&BACKOFF.1));
}
