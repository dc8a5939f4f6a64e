//! Data pods: sealed, led, crashed, held, stopped.

use crate::bus::{Bus, UID, read};
use crate::pod::{Pod, data, until_is};
use crate::sentinel::{remember, sentinel};
use cachebus_api::persistence::Aof;
use cachebus_core::names::{Component, MARKER_FILE};
use cachebus_core::protocol::{ConfigOrder, Marker, Phase, Refusal, TopologyOrder};
use std::fs;

const THIS: &str = "b-redis-0";

fn order(primary: &str, epoch: u64) -> TopologyOrder {
    TopologyOrder {
        uid: UID.to_owned(),
        primary: primary.to_owned(),
        epoch,
        allow_empty: false,
        instead_of: None,
    }
}

fn refusal(answer: &(u16, String)) -> String {
    assert_eq!(answer.0, 409, "{}", answer.1);
    serde_json::from_str::<Refusal>(&answer.1).unwrap().reason
}

fn marker(bus: &Bus) -> Marker {
    let path = bus.data_dir(Component::Redis).join(MARKER_FILE);
    serde_json::from_str(&read(&path)).unwrap()
}

/// Makes the pod the primary of an empty bus.
pub async fn lead(pod: &Pod<'_>, epoch: u64) {
    let order = TopologyOrder {
        allow_empty: true,
        ..order(THIS, epoch)
    };
    let (code, body) = pod.put("/v1/topology", &order).await;
    assert_eq!(code, 200, "{body}");
    pod.phase(Phase::Leading).await;
}

/// A pod that leads and has the key `k`.
async fn leading_with_a_key(bus: &Bus) -> Pod<'_> {
    let pod = Pod::start(bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    lead(&pod, 1).await;
    assert_eq!(bus.redis(&["SET", "k", "v"]).await, "OK");
    pod
}

#[tokio::test]
async fn a_fresh_pod_is_sealed_until_an_order_lets_it_lead_empty() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);

    let status = pod.phase(Phase::Sealed).await;
    assert_eq!(data(&status).marker, None);
    assert!(!data(&status).dataset);
    assert!(bus.redis(&["SET", "k", "v"]).await.starts_with("READONLY"));
    assert_eq!(pod.get("/startupz").await.0, 200);
    assert_eq!(pod.get("/livez").await.0, 200);
    let (code, why) = pod.get("/readyz").await;
    assert_eq!(code, 503);
    assert!(why.starts_with("sealed"), "{why}");

    assert_eq!(
        refusal(&pod.put("/v1/topology", &order(THIS, 1)).await),
        "NoDataset"
    );
    let foreign = TopologyOrder {
        uid: "another".to_owned(),
        ..order(THIS, 1)
    };
    assert_eq!(
        refusal(&pod.put("/v1/topology", &foreign).await),
        "ForeignBus"
    );

    lead(&pod, 3).await;
    assert_eq!(
        marker(&bus),
        Marker {
            uid: UID.to_owned(),
            primary: THIS.to_owned(),
            epoch: 3,
            complete: true,
            aof: Some(true),
            fence: 3,
        }
    );
    assert_eq!(bus.redis(&["SET", "k", "v"]).await, "OK");
    until_is(200, || async { pod.get("/readyz").await.0 }).await;
    assert_eq!(
        refusal(&pod.put("/v1/topology", &order("b-redis-1", 2)).await),
        "StaleEpoch"
    );
    let (_, metrics) = pod.get("/metrics").await;
    assert!(metrics.contains("\nredis_up 1.0\n"), "{metrics}");
    assert!(
        metrics.contains("\ncachebus_agent_phase{phase=\"Leading\"} 1.0\n"),
        "{metrics}"
    );
    pod.stop().await;
}

#[tokio::test]
async fn a_crashed_server_comes_back_with_its_data_and_sealed_while_no_sentinel_answers() {
    let bus = Bus::new();
    let pod = leading_with_a_key(&bus).await;

    pod.kill_server().await;
    let status = pod
        .status_with(|status| status.crashes == 1 && data(status).phase == Phase::Sealed)
        .await;
    assert!(data(&status).dataset);
    assert_eq!(data(&status).keys, Some(1));
    assert_eq!(
        refusal(&pod.put("/v1/topology", &order(THIS, 0)).await),
        "StaleEpoch"
    );
    lead(&pod, 2).await;
    assert_eq!(bus.redis(&["GET", "k"]).await, "v");
    pod.stop().await;
}

#[tokio::test]
async fn stopping_ends_the_server_with_its_data_on_disk() {
    let bus = Bus::new();
    let pod = leading_with_a_key(&bus).await;
    pod.stop().await;
    assert!(bus.redis(&["PING"]).await.is_empty());

    let pod = Pod::start(&bus, Component::Redis);
    let status = pod.phase(Phase::Sealed).await;
    assert_eq!(data(&status).keys, Some(1));
    assert_eq!(data(&status).marker.as_ref().unwrap().epoch, 1);
    pod.stop().await;
}

#[tokio::test]
async fn without_an_append_only_file_a_copy_is_whole_only_after_a_shutdown() {
    let mut bus = Bus::new();
    bus.keep(Aof::Disabled);
    let pod = leading_with_a_key(&bus).await;
    let running = marker(&bus);
    assert_eq!(
        (running.epoch, running.complete, running.aof),
        (1, false, Some(false))
    );
    pod.status_with(|status| data(status).config.contains_key("save"))
        .await;
    pod.stop().await;
    assert!(marker(&bus).complete);

    let pod = Pod::start(&bus, Component::Redis);
    let status = pod.phase(Phase::Sealed).await;
    assert_eq!((data(&status).dataset, data(&status).keys), (true, Some(1)));
    lead(&pod, 2).await;
    until_is(false, || async { marker(&bus).complete }).await;
    pod.stop().await;
}

#[tokio::test]
async fn a_lone_pod_comes_back_with_its_last_snapshot_after_a_crash_though_an_append_only_file_is_wanted()
 {
    let mut bus = Bus::new();
    bus.config.replicas = 0;
    bus.keep(Aof::Disabled);
    let pod = leading_with_a_key(&bus).await;
    let blank = bus.data_dir(Component::Redis).join("cachebus.blank");
    assert!(blank.exists());
    until_is(false, || async {
        bus.redis(&["BGSAVE"]).await;
        blank.exists()
    })
    .await;
    assert!(!marker(&bus).complete);

    pod.crash().await;

    bus.keep(Aof::Everysec);
    remember(&bus, THIS);
    let watching = Pod::start(&bus, Component::Sentinel);
    watching.status_with(|status| sentinel(status).up).await;
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Leading).await;
    assert_eq!(bus.redis(&["GET", "k"]).await, "v");
    pod.stop().await;
    watching.stop().await;
}

#[tokio::test]
async fn a_snapshot_that_no_agent_saw_finished_is_read_though_an_append_only_file_is_wanted() {
    let mut bus = Bus::new();
    bus.keep(Aof::Disabled);
    let pod = leading_with_a_key(&bus).await;
    assert_eq!(bus.redis(&["SAVE"]).await, "OK");
    pod.crash().await;
    fs::write(bus.data_dir(Component::Redis).join("cachebus.blank"), "").unwrap();

    bus.keep(Aof::Everysec);
    let pod = Pod::start(&bus, Component::Redis);
    let status = pod.phase(Phase::Sealed).await;
    assert_eq!(data(&status).keys, Some(1));
    pod.stop().await;
}

#[tokio::test]
async fn data_that_was_kept_in_another_way_is_read_and_then_kept_as_the_spec_says() {
    let mut bus = Bus::new();
    for (before, after) in [
        (Aof::Disabled, Aof::Everysec),
        (Aof::Everysec, Aof::Disabled),
    ] {
        bus.keep(before);
        let pod = leading_with_a_key(&bus).await;
        pod.status_with(|status| data(status).config.contains_key("save"))
            .await;
        pod.stop().await;

        bus.keep(after);
        let pod = Pod::start(&bus, Component::Redis);
        let status = pod.phase(Phase::Sealed).await;
        assert_eq!((data(&status).dataset, data(&status).keys), (true, Some(1)));
        lead(&pod, 1).await;
        let wanted = if after == Aof::Disabled { "no" } else { "yes" };
        let order = ConfigOrder {
            settings: [("appendonly".to_owned(), wanted.to_owned())].into(),
        };
        let (code, body) = pod.put("/v1/config", &order).await;
        assert_eq!(code, 200, "{body}");
        let whole = after != Aof::Disabled;
        until_is((Some(whole), whole), || async {
            let marker = marker(&bus);
            (marker.aof, marker.complete)
        })
        .await;
        pod.stop().await;
    }
}

#[tokio::test]
async fn settings_are_set_by_order_and_only_those_of_the_spec_are_reported() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    let order = |directive: &str, value: &str| ConfigOrder {
        settings: [(directive.to_owned(), value.to_owned())].into(),
    };
    let (code, body) = pod
        .put("/v1/config", &order("maxmemory", "104857600"))
        .await;
    assert_eq!(code, 200, "{body}");
    assert!(body.contains(r#""maxmemory":"104857600""#), "{body}");
    assert!(body.contains(r#""slowlog-max-len":""#), "{body}");
    for left_out in [crate::bus::PASSWORD, "masterauth", "replica-priority"] {
        assert!(!body.contains(left_out), "{left_out} in {body}");
    }
    let mut some_nonsense = order("maxmemory", "much");
    some_nonsense
        .settings
        .insert("slowlog-max-len".to_owned(), "7".to_owned());
    let (code, body) = pod.put("/v1/config", &some_nonsense).await;
    assert_eq!(code, 200, "{body}");
    let status = pod
        .status_with(|status| data(status).config["slowlog-max-len"] == "7")
        .await;
    let refused = &data(&status).refused_settings;
    let refused: Vec<_> = refused
        .iter()
        .map(|(directive, refused)| (directive.as_str(), refused.value.as_str()))
        .collect();
    assert_eq!(refused, [("maxmemory", "much")]);
    pod.stop().await;
}

#[tokio::test]
async fn an_order_to_follow_makes_a_replica_that_nobody_promotes() {
    let bus = Bus::new();
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    let (code, body) = pod.put("/v1/topology", &order("b-redis-1", 1)).await;
    assert_eq!(code, 200, "{body}");
    let status = pod.phase(Phase::Following("b-redis-1".to_owned())).await;
    assert!(!data(&status).replication.as_ref().unwrap().link_up);
    let role = bus.redis(&["ROLE"]).await;
    assert!(
        role.contains("b-redis-1.b-redis-nodes.ns.svc.cluster.local"),
        "{role}"
    );
    let priority = bus.redis(&["CONFIG", "GET", "replica-priority"]).await;
    assert!(priority.ends_with('0') && !priority.ends_with("100"));
    let (_, why) = pod.get("/readyz").await;
    assert!(why.contains("link"), "{why}");
    pod.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_start_ends_the_agent_with_its_code() {
    let bus = Bus::new();
    let folder = bus.config_dir(0);
    fs::write(folder.join("redis.conf"), "no-such-directive yes\n").unwrap();
    let pod = Pod::start(&bus, Component::Redis);
    let error = tokio::time::timeout(std::time::Duration::from_mins(1), pod.agent)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.reason(), "CrashLoop");
    assert_eq!(error.exit_code(), 1);
}
