//! The function library of a pod that leads.

use crate::bus::Bus;
use crate::data::lead;
use crate::pod::{Pod, data, until_is};
use cachebus_core::functions::{LIBRARY, NAME, version};
use cachebus_core::names::Component;
use cachebus_core::protocol::{AgentStatus, LibraryStatus, Phase};

fn library(status: &AgentStatus) -> Option<&LibraryStatus> {
    data(status).library.as_ref()
}

pub fn is_served(status: &AgentStatus) -> bool {
    library(status).is_some_and(|library| {
        library.refused.is_none() && library.version.as_deref() == version(LIBRARY)
    })
}

/// A pod that leads, empty, and whose library its agent has looked at.
async fn leading(bus: &Bus) -> Pod<'_> {
    let pod = Pod::start(bus, Component::Redis);
    let status = pod.phase(Phase::Sealed).await;
    assert_eq!(library(&status), None);
    lead(&pod, 1).await;
    pod.status_with(is_served).await;
    pod
}

async fn serves(bus: &Bus, version: &str) {
    until_is(version.to_owned(), || {
        bus.redis(&["FCALL", "cachebus_version", "0"])
    })
    .await;
}

/// Calls of a command so far.
pub async fn calls(bus: &Bus, command: &str) -> u64 {
    let info = bus.redis(&["INFO", "commandstats"]).await;
    let line = format!("cmdstat_{command}:calls=");
    let calls = info.lines().find_map(|is| is.strip_prefix(&line));
    calls.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

/// Returns when the agent has compared the settings so many times more: that is every five seconds, and many looks.
async fn comparisons(bus: &Bus, more: u64) {
    let before = calls(bus, "config|get").await;
    until_is(true, || async {
        calls(bus, "config|get").await >= before + more
    })
    .await;
}

#[tokio::test]
async fn whoever_leads_serves_it_and_is_as_empty_as_before() {
    let bus = Bus::new();
    let pod = leading(&bus).await;
    let status = pod.status().await;
    assert_eq!(data(&status).keys, Some(0));
    assert_eq!(bus.redis(&["DBSIZE"]).await, "0");
    serves(&bus, version(LIBRARY).unwrap()).await;
    let (_, metrics) = pod.get("/metrics").await;
    let told = format!(
        "\ncachebus_agent_library_info{{version=\"{}\"}} 1.0\n",
        version(LIBRARY).unwrap()
    );
    assert!(metrics.contains(&told), "{metrics}");

    // At rest it is neither loaded nor listed again.
    comparisons(&bus, 2).await;
    assert_eq!(calls(&bus, "function|load").await, 1);
    assert!(calls(&bus, "function|list").await <= 2);
    pod.stop().await;
}

#[tokio::test]
async fn it_outlives_restarts_and_what_people_do_to_it() {
    let bus = Bus::new();
    let pod = leading(&bus).await;
    let ours = version(LIBRARY).unwrap();
    assert_eq!(bus.redis(&["FLUSHALL"]).await, "OK");
    assert_eq!(bus.redis(&["FCALL", "cachebus_version", "0"]).await, ours);
    for done in [&["FUNCTION", "FLUSH"][..], &["FUNCTION", "DELETE", NAME]] {
        assert_eq!(bus.redis(done).await, "OK");
        serves(&bus, ours).await;
    }
    let altered = LIBRARY.replace("return VERSION", "return 'altered'");
    let older = LIBRARY.replace(&format!("VERSION = '{ours}'"), "VERSION = '0.9.0'");
    for other in [altered, older] {
        assert_eq!(
            bus.redis(&["FUNCTION", "LOAD", "REPLACE", &other]).await,
            NAME
        );
        serves(&bus, ours).await;
    }
    pod.kill_server().await;
    pod.status_with(|status| status.crashes == 1 && data(status).phase == Phase::Sealed)
        .await;
    assert_eq!(bus.redis(&["FCALL", "cachebus_version", "0"]).await, ours);
    lead(&pod, 2).await;
    pod.status_with(is_served).await;
    assert_eq!(calls(&bus, "function|load").await, 0);
    pod.stop().await;
}

#[tokio::test]
async fn a_newer_one_is_left_alone() {
    let bus = Bus::new();
    let pod = leading(&bus).await;
    let newer = LIBRARY.replace(
        &format!("VERSION = '{}'", version(LIBRARY).unwrap()),
        "VERSION = '77.0.0'",
    );
    assert_eq!(
        bus.redis(&["FUNCTION", "LOAD", "REPLACE", &newer]).await,
        NAME
    );
    let says = |status: &AgentStatus| {
        library(status).is_some_and(|library| library.version.as_deref() == Some("77.0.0"))
    };
    pod.status_with(says).await;
    serves(&bus, "77.0.0").await;
    pod.stop().await;
}

#[tokio::test]
async fn one_that_the_server_refuses_is_told_of_and_tried_again_now_and_then() {
    let bus = Bus::new();
    let pod = leading(&bus).await;
    let revision = pod.revision().await;
    assert_eq!(bus.redis(&["CONFIG", "SET", "maxmemory", "1"]).await, "OK");
    assert_eq!(bus.redis(&["FUNCTION", "FLUSH"]).await, "OK");
    let refused = |reason: &'static str| {
        move |status: &AgentStatus| {
            let refused = library(status).and_then(|library| library.refused.as_ref());
            refused.is_some_and(|refused| refused.reason == reason)
        }
    };
    let status = pod.status_with(refused("OutOfMemory")).await;
    assert_eq!(library(&status).unwrap().version, None);
    // Whoever waits for news hears of it.
    pod.status_after(&revision).await;
    let lists = calls(&bus, "function|list").await;
    comparisons(&bus, 2).await;
    assert!(calls(&bus, "function|list").await <= lists + 4);
    assert_eq!(bus.redis(&["CONFIG", "SET", "maxmemory", "0"]).await, "OK");
    pod.status_with(is_served).await;
    serves(&bus, version(LIBRARY).unwrap()).await;
    pod.stop().await;
}
