//! What the agent of a Sentinel pod hears from its Sentinel.

use crate::bus::Bus;
use crate::pod::{Pod, until, until_is};
use crate::sentinel::{remember, sentinel};
use cachebus_core::names::Component;
use std::time::Duration;
use tokio::time::Instant;

const OTHER_SENTINEL: &str = "9876543210987654321098765432109876543210";

/// Has the Sentinel believe another that the primary has moved.
async fn move_primary(bus: &Bus, host: &str, epoch: u64) {
    let name = &bus.config.master_name;
    let hello = format!(
        "127.0.0.1,1,{OTHER_SENTINEL},{epoch},{name},{host},{},{epoch}",
        bus.config.port
    );
    bus.sentinel(&["PUBLISH", "__sentinel__:hello", &hello])
        .await;
}

/// Who listens to the Sentinel's events, as the Sentinel itself tells.
async fn listeners(bus: &Bus) -> Vec<String> {
    let clients = bus.sentinel(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
    clients
        .lines()
        .filter(|line| line.contains(" user=operator "))
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_switch_is_told_at_once() {
    let bus = Bus::new();
    remember(&bus, "b-redis-0");
    let pod = Pod::start(&bus, Component::Sentinel);
    pod.status_with(|status| sentinel(status).up && status.acl_digest.is_some())
        .await;
    until_is(1, || async { listeners(&bus).await.len() }).await;

    // Each begins right after a look: a look each second would tell of it a second later.
    let mut waited = Duration::ZERO;
    for (epoch, host) in [(11, "127.0.0.2"), (12, "127.0.0.3"), (13, "127.0.0.4")] {
        let before = pod.status().await.revision();
        let switched = Instant::now();
        let (told, ()) = tokio::join!(pod.status_after(&before), move_primary(&bus, host, epoch));
        waited += switched.elapsed();
        let monitored = sentinel(&told).monitored.clone().unwrap();
        assert_eq!(
            (monitored.host.as_str(), monitored.config_epoch),
            (host, epoch)
        );
    }
    assert!(waited < Duration::from_millis(1_500), "{waited:?}");
    pod.stop().await;
}

#[tokio::test]
async fn a_subscription_that_breaks_is_made_anew() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Sentinel);
    let first = until(|| async { listeners(&bus).await.pop() }).await;
    bus.sentinel(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    until(|| async { listeners(&bus).await.pop().filter(|now| *now != first) }).await;
    assert_eq!(listeners(&bus).await.len(), 1);
    pod.stop().await;
}
