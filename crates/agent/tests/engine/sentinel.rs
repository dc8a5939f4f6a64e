//! Sentinel pods, and data pods that ask them.

use crate::bus::{Bus, UID, read};
use crate::pod::{Pod, data, until_is};
use cachebus_core::names::{Component, MARKER_FILE, SENTINEL_CONF};
use cachebus_core::protocol::{
    AgentStatus, Marker, MonitorOrder, MonitorSettings, NodeStatus, Peer, Phase, Refusal,
    SentinelStatus,
};
use std::fs;

pub const THIS: &str = "b-redis-0";
const OTHER: &str = "b-redis-1";
/// The one pod whose name resolves where these tests run.
const REACHED: &str = "b-redis-2";

pub fn fqdn(bus: &Bus, pod: &str) -> String {
    bus.names.pod_fqdn(Component::Redis, pod)
}

/// What a Sentinel left behind that monitored `pod`, and one of another bus.
pub fn remember(bus: &Bus, pod: &str) {
    let name = &bus.config.master_name;
    let text = format!(
        "sentinel myid 0123456789012345678901234567890123456789\n\
         sentinel current-epoch 7\n\
         sentinel monitor {name} {} {} 1\n\
         sentinel config-epoch {name} 7\n\
         sentinel monitor b-other 127.0.0.1 1 1\n",
        fqdn(bus, pod),
        bus.config.port
    );
    fs::write(bus.data_dir(Component::Sentinel).join(SENTINEL_CONF), text).unwrap();
}

pub fn sentinel(status: &AgentStatus) -> &SentinelStatus {
    match &status.node {
        NodeStatus::Redis(_) => panic!("a data node"),
        NodeStatus::Sentinel(sentinel) => sentinel,
    }
}

pub fn order(bus: &Bus, primary: &str) -> MonitorOrder {
    MonitorOrder {
        uid: UID.to_owned(),
        primary: primary.to_owned(),
        quorum: bus.config.quorum,
        settings: bus.config.monitor.clone(),
        instead_of: None,
        config_epoch: 0,
        peers: Vec::new(),
        forget: Vec::new(),
    }
}

pub fn refusal(answer: &(u16, String)) -> String {
    assert_eq!(answer.0, 409, "{}", answer.1);
    serde_json::from_str::<Refusal>(&answer.1).unwrap().reason
}

#[tokio::test]
async fn a_sentinel_keeps_what_it_learned_of_its_bus_and_obeys() {
    let bus = Bus::new();
    remember(&bus, THIS);
    let pod = Pod::start(&bus, Component::Sentinel);
    let status = pod.status_with(|status| sentinel(status).up).await;
    let monitored = sentinel(&status).monitored.clone().unwrap();
    assert_eq!(monitored.host, fqdn(&bus, THIS));
    assert_eq!(monitored.config_epoch, 7);
    assert_eq!(monitored.settings, bus.config.monitor);
    let masters = bus.sentinel(&["SENTINEL", "MASTERS"]).await;
    assert!(!masters.contains("b-other"), "{masters}");
    assert_eq!(pod.get("/readyz").await.0, 200);

    let slower = MonitorOrder {
        settings: MonitorSettings {
            down_after_ms: 1234,
            ..bus.config.monitor.clone()
        },
        ..order(&bus, THIS)
    };
    let (code, body) = pod.put("/v1/monitor", &slower).await;
    assert_eq!(code, 200, "{body}");
    let status = pod.status().await;
    let monitored = sentinel(&status).monitored.clone().unwrap();
    assert_eq!(monitored.settings.down_after_ms, 1234);
    assert_eq!(monitored.config_epoch, 7);

    assert_eq!(
        refusal(&pod.put("/v1/monitor", &order(&bus, OTHER)).await),
        "NamesAnother"
    );
    let foreign = MonitorOrder {
        uid: "another".to_owned(),
        ..order(&bus, THIS)
    };
    assert_eq!(
        refusal(&pod.put("/v1/monitor", &foreign).await),
        "ForeignBus"
    );
    let (_, metrics) = pod.get("/metrics").await;
    assert!(
        metrics.contains("\nredis_sentinel_master_config_epoch 7.0\n"),
        "{metrics}"
    );
    pod.stop().await;
    let kept = read(&bus.data_dir(Component::Sentinel).join(SENTINEL_CONF));
    assert!(kept.contains("sentinel myid 0123456789012345678901234567890123456789"));
}

#[tokio::test]
async fn one_that_is_to_end_is_not_ready_and_answers_on_for_a_while() {
    let bus = Bus::new();
    remember(&bus, THIS);
    let pod = Pod::start(&bus, Component::Sentinel);
    pod.status_with(|status| sentinel(status).monitored.is_some())
        .await;
    pod.terminate().await;
    until_is(503, || async { pod.get("/readyz").await.0 }).await;
    let name = &bus.config.master_name;
    let named = bus
        .sentinel(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name])
        .await;
    assert!(named.contains(&fqdn(&bus, THIS)), "{named}");
    pod.stop().await;
}

#[tokio::test]
async fn a_sentinel_names_another_primary_by_order_in_a_newer_epoch_and_forgets_nothing() {
    let bus = Bus::new();
    remember(&bus, THIS);
    let pod = Pod::start(&bus, Component::Sentinel);
    pod.status_with(|status| sentinel(status).up).await;

    let instead = MonitorOrder {
        instead_of: Some(THIS.to_owned()),
        ..order(&bus, REACHED)
    };
    let alone = pod.put("/v1/monitor", &instead).await;
    assert_eq!(refusal(&alone), "KnowsNoOther");
    let peer = Peer {
        pod: "b-sentinel-1".to_owned(),
        run_id: "f".repeat(40),
    };
    let introduced = MonitorOrder {
        config_epoch: 9,
        peers: vec![peer],
        ..instead
    };
    let (code, body) = pod.put("/v1/monitor", &introduced).await;
    assert_eq!(code, 200, "{body}");
    let monitored = sentinel(&pod.status().await).monitored.clone().unwrap();
    assert_eq!(
        (monitored.host, monitored.config_epoch),
        (fqdn(&bus, REACHED), 9)
    );
    let peers = bus
        .sentinel(&["SENTINEL", "SENTINELS", &bus.config.master_name])
        .await;
    assert!(peers.contains("b-sentinel-1"), "{peers}");

    // What it heard of since is newer than what the operator knew.
    let back = MonitorOrder {
        primary: THIS.to_owned(),
        instead_of: Some(REACHED.to_owned()),
        ..introduced
    };
    let (code, body) = pod.put("/v1/monitor", &back).await;
    assert_eq!(code, 409, "a name that does not resolve: {body}");
    pod.stop().await;
}

#[tokio::test]
async fn a_primary_that_lost_its_dataset_is_held_until_an_order_says_otherwise() {
    let bus = Bus::new();
    remember(&bus, THIS);
    let watching = Pod::start(&bus, Component::Sentinel);
    watching.status_with(|status| sentinel(status).up).await;

    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Holding).await;
    assert!(bus.redis(&["PING"]).await.is_empty(), "it runs");
    assert_eq!(pod.get("/startupz").await.0, 200);
    assert_eq!(pod.get("/livez").await.0, 200);
    assert_eq!(pod.get("/readyz").await.0, 503);
    pod.stop().await;
    watching.stop().await;
}

#[tokio::test]
async fn a_sealed_pod_without_dataset_is_held_as_soon_as_sentinels_name_it() {
    let bus = Bus::new();
    remember(&bus, THIS);
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    let watching = Pod::start(&bus, Component::Sentinel);
    let status = pod.phase(Phase::Holding).await;
    assert_eq!(status.crashes, 0);
    assert!(bus.redis(&["PING"]).await.is_empty(), "it runs");
    pod.stop().await;
    watching.stop().await;
}

#[tokio::test]
async fn a_primary_with_its_dataset_leads_by_the_word_of_its_sentinels() {
    let bus = Bus::new();
    remember(&bus, THIS);
    let folder = bus.data_dir(Component::Redis);
    let marker = Marker {
        uid: UID.to_owned(),
        primary: OTHER.to_owned(),
        epoch: 5,
        complete: true,
        aof: Some(true),
        fence: 5,
    };
    fs::write(
        folder.join(MARKER_FILE),
        serde_json::to_string(&marker).unwrap(),
    )
    .unwrap();
    write_dataset(&folder);
    let watching = Pod::start(&bus, Component::Sentinel);
    watching.status_with(|status| sentinel(status).up).await;

    let pod = Pod::start(&bus, Component::Redis);
    let status = pod.phase(Phase::Leading).await;
    let marker = data(&status).marker.as_ref().unwrap();
    assert_eq!((marker.primary.as_str(), marker.epoch), (THIS, 7));
    assert_eq!(bus.redis(&["GET", "k"]).await, "v");
    pod.stop().await;
    watching.stop().await;
}

#[tokio::test]
async fn a_sealed_pod_follows_as_soon_as_sentinels_answer() {
    let bus = Bus::new();
    remember(&bus, OTHER);
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    let watching = Pod::start(&bus, Component::Sentinel);
    pod.phase(Phase::Following(OTHER.to_owned())).await;
    pod.stop().await;
    watching.stop().await;
}

/// An append-only file that holds one key.
fn write_dataset(folder: &std::path::Path) {
    let aof = folder.join("appendonlydir");
    fs::create_dir(&aof).unwrap();
    fs::write(
        aof.join("appendonly.aof.manifest"),
        "file appendonly.aof.1.incr.aof seq 1 type i\n",
    )
    .unwrap();
    fs::write(
        aof.join("appendonly.aof.1.incr.aof"),
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n",
    )
    .unwrap();
}
