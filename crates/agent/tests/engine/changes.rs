//! Reports that are held until there is something new to tell.

use crate::bus::Bus;
use crate::data::lead;
use crate::pod::{Pod, data};
use cachebus_core::names::Component;
use cachebus_core::protocol::Phase;
use std::time::Duration;
use tokio::time::timeout;

/// Several looks at a settled server.
const SEVERAL_LOOKS: Duration = Duration::from_secs(3);
/// Longer than what is told at once takes on a busy machine, and shorter than a report is held.
const AT_ONCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_report_is_held_while_nothing_changes_and_told_when_something_does() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    lead(&pod, 1).await;
    let settled = pod
        .status_with(|status| status.acl_digest.is_some() && !data(status).config.is_empty())
        .await;
    let revision = pod.revision().await;
    assert_eq!(revision, settled.revision());

    let mut held = Box::pin(pod.status_after(&revision));
    for key in ["l", "m", "n"] {
        assert_eq!(bus.redis(&["SET", key, "v"]).await, "OK");
    }
    assert!(
        timeout(SEVERAL_LOOKS, &mut held).await.is_err(),
        "more keys and offsets are no news"
    );
    bus.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let told = timeout(AT_ONCE, held).await.unwrap();
    assert_eq!(data(&told).phase, Phase::Sealed);
    pod.stop().await;
}

#[tokio::test]
async fn who_has_an_older_report_is_told_at_once() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    let told = timeout(AT_ONCE, pod.status_after("0")).await.unwrap();
    assert_eq!(data(&told).phase, Phase::Sealed);
    pod.stop().await;
}
