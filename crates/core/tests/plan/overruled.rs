//! Sentinels name a pod that follows while another copy is newer.

use crate::failover::led_by;
use crate::scene::{Scene, ago, follows, marker, primary};
use cachebus_api::status::{Overruled, Topology};
use cachebus_core::plan::reason;
use cachebus_core::protocol::DataStatus;

/// Sentinels name `b-redis-0`, which follows; `b-redis-1` led in epoch 2 and was turned back before they had heard of it.
fn turned_back() -> Scene {
    let unlinked = |data: DataStatus| DataStatus {
        replication: None,
        ..data
    };
    let mut newer = unlinked(follows("b-redis-0", 1));
    newer.marker = Some(marker("b-redis-1", 2));
    Scene::well()
        .node(0, unlinked(follows("b-redis-1", 1)))
        .node(1, newer)
        .node(2, unlinked(follows("b-redis-0", 1)))
}

#[test]
fn a_newer_copy_leads_instead_of_a_named_pod_that_follows() {
    let waiting = turned_back().recorded(Topology {
        choosing_since: Some(ago(35)),
        ..primary("b-redis-0", 1)
    });
    let record = waiting.record();
    let target = record.target.clone().unwrap();
    assert_eq!((target.pod.as_str(), target.empty), ("b-redis-1", false));
    let overruled = record.overruled.clone().unwrap();
    assert_eq!(
        (overruled.pod.as_str(), overruled.config_epoch),
        ("b-redis-0", 0)
    );

    let ordered = turned_back().recorded(record);
    let order = format!("{:?}", ordered.actions());
    assert!(order.contains("instead_of: Some(\"b-redis-0\")"), "{order}");
    let to_newer = ("b-redis-1".to_owned(), "b-redis-1".to_owned());
    assert_eq!(ordered.orders(), [to_newer]);
}

#[test]
fn a_newer_copy_that_is_silent_is_waited_for_before_a_named_pod_that_follows_leads() {
    let mut waiting = turned_back().silent(1).recorded(Topology {
        choosing_since: Some(ago(35)),
        ..primary("b-redis-0", 1)
    });
    let silent = waiting.observed.data.get_mut("b-redis-1").unwrap();
    silent.silent_ms = 29_999;
    assert_eq!(waiting.actions(), []);
    let silent = waiting.observed.data.get_mut("b-redis-1").unwrap();
    silent.silent_ms = 30_000;
    assert_eq!(waiting.chosen().0, "b-redis-0");
}

#[test]
fn overruled_sentinels_are_told_and_heard_again_once_they_decide_anew() {
    let overruled = Topology {
        overruled: Some(Overruled {
            pod: "b-redis-0".to_owned(),
            config_epoch: 0,
        }),
        ..primary("b-redis-1", 3)
    };
    let leads = turned_back()
        .node(1, led_by("b-redis-1", 3))
        .recorded(overruled.clone());
    let told = leads.monitors();
    assert_eq!(told.len(), 3);
    let named = Some("b-redis-0".to_owned());
    assert!(told.iter().all(|(_, instead_of)| *instead_of == named));

    let anew = leads.clone().all_watch("b-redis-0", 4);
    assert_eq!(anew.record().primary.as_deref(), Some("b-redis-0"));
    let agreed = leads.clone().all_watch("b-redis-1", 1).record();
    assert_eq!(agreed.primary.as_deref(), Some("b-redis-1"));
    assert_eq!(agreed.overruled, None);
    // Whom they made lead takes writes.
    let leads_too = leads.node(0, led_by("b-redis-0", 1));
    assert_eq!(leads_too.record().primary.as_deref(), Some("b-redis-0"));
}

#[test]
fn a_named_pod_that_follows_one_that_leads_gives_way_to_it_after_a_while() {
    let leads = Scene::well()
        .node(0, follows("b-redis-1", 2))
        .node(1, led_by("b-redis-1", 2))
        .node(2, follows("b-redis-1", 2));
    assert_eq!(leads.record().choosing_since, Some(ago(0)));
    let waiting = |seconds| {
        leads.clone().recorded(Topology {
            choosing_since: Some(ago(seconds)),
            ..primary("b-redis-0", 1)
        })
    };
    assert_eq!(waiting(34).actions(), []);
    assert_eq!(waiting(34).reasons()[0], reason::PRIMARY_FOLLOWS);
    let record = waiting(35).record();
    assert_eq!(record.primary.as_deref(), Some("b-redis-1"));
    assert_eq!(record.choosing_since, None);
    let told = leads.clone().recorded(record).monitors();
    assert_eq!(told.len(), 3);
}
