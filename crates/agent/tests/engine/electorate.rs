//! Sentinels that leave, that are gone, and that are told by people to watch others.

use crate::bus::{Bus, UID, read};
use crate::pod::{Pod, until_is};
use crate::sentinel::{THIS, fqdn, order, refusal, remember, sentinel};
use cachebus_core::names::{Component, SENTINEL_CONF};
use cachebus_core::protocol::{AgentStatus, MonitorOrder, Peer, RetireOrder};
use std::fmt::Write as _;
use std::fs;

#[tokio::test]
async fn a_sentinel_counts_those_no_more_that_are_gone_and_all_others_at_once() {
    let bus = Bus::new();
    let name = bus.config.master_name.as_str();
    remember(&bus, THIS);
    let conf = bus.data_dir(Component::Sentinel).join(SENTINEL_CONF);
    let (stays, gone) = ("a".repeat(40), "d".repeat(40));
    let mut text = read(&conf);
    for (pod, id) in [("b-sentinel-1", &stays), ("b-sentinel-3", &gone)] {
        let host = bus.names.pod_fqdn(Component::Sentinel, pod);
        let port = bus.config.sentinel_port;
        writeln!(text, "sentinel known-sentinel {name} {host} {port} {id}").unwrap();
    }
    fs::write(&conf, text).unwrap();
    let pod = Pod::start(&bus, Component::Sentinel);
    let known = |status: &AgentStatus| -> Vec<String> {
        let watch = sentinel(status).monitored.as_ref();
        let known = watch.into_iter().flat_map(|watch| &watch.known);
        known.map(|known| known.run_id.clone()).collect()
    };
    pod.status_with(|status| known(status).len() == 2).await;

    let forgetting = MonitorOrder {
        forget: vec![gone],
        ..order(&bus, THIS)
    };
    let (code, body) = pod.put("/v1/monitor", &forgetting).await;
    assert_eq!(code, 200, "{body}");
    let status = pod.status().await;
    assert_eq!(known(&status), *std::slice::from_ref(&stays));
    let monitored = sentinel(&status).monitored.clone().unwrap();
    assert_eq!(
        (monitored.host, monitored.config_epoch),
        (fqdn(&bus, THIS), 7)
    );
    assert_eq!(monitored.settings, bus.config.monitor);
    pod.stop().await;
    let kept = read(&conf);
    assert!(
        kept.contains(&stays) && !kept.contains(&"d".repeat(40)),
        "{kept}"
    );
}

#[tokio::test]
async fn an_engine_replaces_a_sentinel_that_comes_with_another_identity_to_the_same_address() {
    let bus = Bus::new();
    remember(&bus, THIS);
    let pod = Pod::start(&bus, Component::Sentinel);
    pod.status_with(|status| sentinel(status).up).await;
    for id in ["a", "d"] {
        let peer = Peer {
            pod: "b-sentinel-1".to_owned(),
            run_id: id.repeat(40),
        };
        let met = MonitorOrder {
            peers: vec![peer],
            ..order(&bus, THIS)
        };
        let (code, body) = pod.put("/v1/monitor", &met).await;
        assert_eq!(code, 200, "{body}");
    }
    let status = pod.status().await;
    let known = sentinel(&status).monitored.clone().unwrap().known;
    let ids: Vec<&str> = known.iter().map(|known| known.run_id.as_str()).collect();
    assert_eq!(ids, ["d".repeat(40)]);
    pod.stop().await;
}

#[tokio::test]
async fn a_sentinel_that_leaves_watches_nobody_also_after_a_restart() {
    let bus = Bus::new();
    remember(&bus, THIS);
    let pod = Pod::start(&bus, Component::Sentinel);
    pod.status_with(|status| sentinel(status).up).await;
    let foreign = RetireOrder {
        uid: "another".to_owned(),
    };
    let refused = pod.put("/v1/retire", &foreign).await;
    assert_eq!(refusal(&refused), "ForeignBus");
    let order = RetireOrder {
        uid: UID.to_owned(),
    };
    for _ in 0..2 {
        let (code, body) = pod.put("/v1/retire", &order).await;
        assert_eq!(code, 200, "{body}");
        assert_eq!(sentinel(&pod.status().await).monitored, None);
    }
    pod.stop().await;
    let pod = Pod::start(&bus, Component::Sentinel);
    let status = pod.status_with(|status| sentinel(status).up).await;
    assert_eq!(sentinel(&status).monitored, None);
    pod.stop().await;
}

#[tokio::test]
async fn what_a_person_has_a_sentinel_watch_besides_is_dropped() {
    let bus = Bus::new();
    remember(&bus, THIS);
    let pod = Pod::start(&bus, Component::Sentinel);
    pod.status_with(|status| sentinel(status).up).await;
    let typed = ["SENTINEL", "MONITOR", "another", "127.0.0.1", "1", "1"];
    assert_eq!(bus.sentinel(&typed).await, "OK");
    until_is(false, || async {
        let masters = bus.sentinel(&["SENTINEL", "MASTERS"]).await;
        masters.contains("another")
    })
    .await;
    // Nor may another be taken for the bus's primary.
    let name = bus.config.master_name.as_str();
    assert_eq!(bus.sentinel(&["SENTINEL", "REMOVE", name]).await, "OK");
    let typed = ["SENTINEL", "MONITOR", name, "127.0.0.1", "1", "1"];
    assert_eq!(bus.sentinel(&typed).await, "OK");
    until_is(String::new(), || async {
        let asked = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name];
        bus.sentinel(&asked).await
    })
    .await;
    pod.stop().await;
}
