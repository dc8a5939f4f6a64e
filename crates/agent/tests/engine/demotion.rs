//! A server whose role others change: seen at once, and its clients sent away.

use crate::bus::{Bus, PASSWORD, TESTER, UID};
use crate::data::lead;
use crate::pod::{Pod, data};
use cachebus_admin::{Credentials, Endpoint, SentinelEvents, Server, TlsContext};
use cachebus_core::names::Component;
use cachebus_core::protocol::{Phase, TopologyOrder};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const OTHER: &str = "b-redis-1";
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

fn endpoint(bus: &Bus) -> Endpoint {
    let tls = TlsContext::new(bus.authority.pem().as_bytes(), None).unwrap();
    Endpoint::new("127.0.0.1", bus.config.port).with_tls(Arc::new(tls))
}

fn tester() -> Credentials {
    Credentials::new(TESTER, PASSWORD)
}

async fn client(bus: &Bus) -> Server {
    Server::connect(&endpoint(bus), Some(&tester()))
        .await
        .unwrap()
}

async fn ended(client: &mut Server) {
    timeout(PATIENCE, client.ended()).await.unwrap();
}

async fn leading(bus: &Bus) -> Pod<'_> {
    let pod = Pod::start(bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    lead(&pod, 1).await;
    pod
}

#[tokio::test]
async fn the_clients_of_a_primary_that_is_to_follow_are_sent_away() {
    let bus = Bus::new();
    let pod = leading(&bus).await;
    let mut idle = client(&bus).await;
    let mut subscribed = SentinelEvents::subscribe(&endpoint(&bus), Some(&tester()))
        .await
        .unwrap();
    let order = TopologyOrder {
        uid: UID.to_owned(),
        primary: OTHER.to_owned(),
        epoch: 2,
        allow_empty: false,
        instead_of: None,
    };
    let (code, body) = pod.put("/v1/topology", &order).await;
    assert_eq!(code, 200, "{body}");
    ended(&mut idle).await;
    let told = timeout(PATIENCE, subscribed.next()).await.unwrap();
    assert_eq!(told, None);
    pod.phase(Phase::Following(OTHER.to_owned())).await;
    pod.stop().await;
}

#[tokio::test]
async fn those_too_who_come_back_before_the_routes_have_moved() {
    let bus = Bus::new();
    let pod = leading(&bus).await;
    let mut before = client(&bus).await;
    let primary = bus.names.pod_fqdn(Component::Redis, OTHER);
    bus.redis(&["REPLICAOF", &primary, &bus.config.port.to_string()])
        .await;
    ended(&mut before).await;
    let mut too_early = client(&bus).await;
    ended(&mut too_early).await;
    let status = pod.phase(Phase::Following(OTHER.to_owned())).await;
    assert_eq!(status.crashes, 0);
    pod.stop().await;
}

#[tokio::test]
async fn a_replica_keeps_its_clients() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    let reader = client(&bus).await;
    let primary = bus.names.pod_fqdn(Component::Redis, OTHER);
    bus.redis(&["REPLICAOF", &primary, &bus.config.port.to_string()])
        .await;
    pod.phase(Phase::Following(OTHER.to_owned())).await;
    reader.ping().await.unwrap();
    pod.stop().await;
}

#[tokio::test]
async fn a_role_that_sentinels_change_is_seen_at_once() {
    let bus = Bus::new();
    let pod = leading(&bus).await;
    let primary = bus.names.pod_fqdn(Component::Redis, OTHER);
    let port = bus.config.port.to_string();
    let mut waited = Duration::ZERO;
    for _ in 0..3 {
        pod.status_with(|status| {
            data(status).phase == Phase::Leading && status.acl_digest.is_some()
        })
        .await;
        // What a Sentinel sends, in its order; a look each second would tell of it a second later.
        bus.redis(&["REPLICAOF", &primary, &port]).await;
        let changed = Instant::now();
        bus.redis(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        pod.phase(Phase::Following(OTHER.to_owned())).await;
        waited += changed.elapsed();
        bus.redis(&["REPLICAOF", "NO", "ONE"]).await;
    }
    assert!(waited < Duration::from_millis(1_500), "{waited:?}");
    pod.stop().await;
}
