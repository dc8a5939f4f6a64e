//! Sentinels decide unplanned failover; the record follows them.

use crate::scene::{Scene, ago, empty, follows, holds, leads, marker, primary, sealed, target};
use cachebus_api::status::Topology;
use cachebus_core::plan::reason;
use cachebus_core::protocol::{
    DataStatus, HandoverCause, HandoverOutcome, HandoverReport, Marker, Phase,
};

/// A primary that Sentinels made; its last order was of epoch 1.
pub fn led_by(pod: &str, epoch: u64) -> DataStatus {
    DataStatus {
        marker: Some(Marker {
            fence: 1,
            ..marker(pod, epoch)
        }),
        ..leads(epoch)
    }
}

#[test]
fn whom_a_majority_names_is_recorded_whether_or_not_it_answers() {
    let named = Scene::well().all_watch("b-redis-1", 1);
    let record = named.clone().node(1, led_by("b-redis-1", 2)).record();
    assert_eq!(record.primary.as_deref(), Some("b-redis-1"));
    assert_eq!(record.epoch, 2);
    assert_eq!(record.since, Some(ago(0)));
    let silent = named.silent(1).record();
    assert_eq!(silent.primary.as_deref(), Some("b-redis-1"));
}

#[test]
fn a_majority_overrules_a_target() {
    let scene = Scene::well().recorded(Topology {
        target: Some(target("b-redis-2", 7, false)),
        ..primary("b-redis-2", 6)
    });
    let record = scene.record();
    assert_eq!(record.primary.as_deref(), Some("b-redis-0"));
    assert_eq!((record.epoch, record.target), (8, None));
}

#[test]
fn one_second_leader_is_ended_in_a_pass() {
    let scene = Scene::well().node(1, leads(1)).node(2, leads(1));
    let plan = scene.plan();
    let changes: Vec<_> = plan
        .actions
        .iter()
        .filter(|action| action.changes_topology(&scene.observed))
        .collect();
    assert_eq!(changes.len(), 1);
    assert_eq!(
        scene.orders(),
        [("b-redis-1".to_owned(), "b-redis-0".to_owned())]
    );
}

#[test]
fn who_was_just_promoted_is_left_alone() {
    let promoted = Scene::well().node(1, led_by("b-redis-1", 2));
    let named_is_down = promoted.clone().silent(0);
    assert_eq!(
        named_is_down.actions(),
        [],
        "before anybody has heard of it"
    );
    let mut newer = promoted.watch(0, "b-redis-1", 0);
    newer.config_epoch = 1;
    let some_have_heard = promoted.sentinel(0, Some(newer));
    assert!(some_have_heard.orders().is_empty());
    assert!(some_have_heard.plan().unsettled);
}

#[test]
fn whom_a_sentinel_is_promoting_is_left_alone_until_it_says_so() {
    let promoted = Scene::well().node(1, led_by("b-redis-1", 2));
    let mut watch = promoted.watch(0, "b-redis-0", 0);
    (watch.failing_over, watch.promoting) = (true, true);
    let unsaid = promoted.clone().sentinel(0, Some(watch.clone()));
    assert_eq!(unsaid.actions(), []);
    assert_eq!(unsaid.reasons(), [reason::FAILOVER_RUNNING]);
    assert!(unsaid.plan().unsettled);
    assert_eq!(unsaid.routed().0.as_deref(), Some("b-redis-0"));

    let mut said = promoted.all_watch("b-redis-1", 1);
    watch = said.watch(0, "b-redis-1", 1);
    watch.failing_over = true;
    said = said.sentinel(0, Some(watch));
    assert_eq!(said.record().primary.as_deref(), Some("b-redis-1"));
    let recorded = said.clone().recorded(said.record());
    let ended = ("b-redis-0".to_owned(), "b-redis-1".to_owned());
    assert!(recorded.orders().contains(&ended));
}

#[test]
fn while_a_pod_hands_its_lead_over_nobody_is_told_anything() {
    let handing_over = |outcome| DataStatus {
        handover: Some(HandoverReport {
            number: 1,
            cause: HandoverCause::Ordered,
            to: Some("b-redis-1".to_owned()),
            outcome,
        }),
        ..leads(1)
    };
    // Who looks now sees the new primary before the Sentinels have heard of it.
    let scene = |outcome| {
        Scene::well()
            .node(0, handing_over(outcome))
            .node(1, led_by("b-redis-1", 2))
    };
    let running = scene(HandoverOutcome::Running);
    assert_eq!(running.actions(), []);
    assert_eq!(running.reasons(), [reason::HANDOVER_RUNNING]);
    assert!(running.plan().unsettled);
    let ended = scene(HandoverOutcome::Done { write_gap_ms: 20 });
    assert_ne!(ended.actions(), []);
}

#[test]
fn without_sentinels_the_newest_leader_is_the_primary() {
    let scene = Scene::well().sentinels_idle();
    let both = scene.clone().node(1, led_by("b-redis-1", 2));
    assert_eq!(both.record().primary.as_deref(), Some("b-redis-1"));
    let stale = scene.node(1, leads(1));
    assert_eq!(
        stale.orders()[0],
        ("b-redis-1".to_owned(), "b-redis-0".to_owned())
    );
}

#[test]
fn a_leader_that_is_older_than_the_record_does_not_become_primary_by_leading() {
    let scene = Scene::well()
        .sentinels_idle()
        .recorded(primary("b-redis-1", 5))
        .node(0, leads(1))
        .node(1, sealed(9, "b-redis-1", 5))
        .node(2, sealed(9, "b-redis-1", 5));
    assert_eq!(scene.chosen().0, "b-redis-1");
}

#[test]
fn a_leader_that_the_recorded_primary_has_followed_since_stays() {
    let scene = Scene::well()
        .sentinels_idle()
        .recorded(primary("b-redis-0", 2))
        .node(0, sealed(7, "b-redis-2", 2))
        .node(1, follows("b-redis-2", 2))
        .node(2, led_by("b-redis-2", 2));
    assert_eq!(scene.chosen(), ("b-redis-2".to_owned(), false));
}

#[test]
fn a_wiped_status_is_found_again() {
    let mut scene = Scene::well();
    scene.observed.status.topology = None;
    let record = scene.record();
    assert_eq!(record.primary.as_deref(), Some("b-redis-0"));
    assert!(record.epoch >= 1);
    let mut unwatched = Scene::well().sentinels_idle();
    unwatched.observed.status.topology = None;
    assert_eq!(unwatched.record().primary.as_deref(), Some("b-redis-0"));
}

fn primary_lost() -> Scene {
    let mut scene = Scene::well().node(0, holds());
    for ordinal in [1, 2] {
        let pod = scene
            .bus
            .names
            .pod(cachebus_core::names::Component::Redis, ordinal);
        let node = scene.observed.data.get_mut(&pod).unwrap();
        let agent = node.agent.as_mut().unwrap();
        let mut status = sealed(7, "b-redis-2", 1);
        status.phase = Phase::Following("b-redis-0".to_owned());
        status.marker = Some(Marker {
            fence: 1,
            ..marker("b-redis-2", 0)
        });
        agent.node = cachebus_core::protocol::NodeStatus::Redis(Box::new(status));
    }
    scene
}

#[test]
fn sentinels_have_time_to_replace_a_primary_that_lost_its_dataset() {
    let scene = primary_lost();
    assert_eq!(scene.record().choosing_since, Some(ago(0)));
    let waiting = |seconds| {
        scene.clone().recorded(Topology {
            choosing_since: Some(ago(seconds)),
            ..primary("b-redis-0", 1)
        })
    };
    assert_eq!(waiting(34).actions(), []);
    assert_eq!(waiting(34).reasons()[0], reason::PRIMARY_LOST_DATA);
    assert_eq!(waiting(35).chosen().0, "b-redis-2");
}

#[test]
fn what_replaces_it_leads_against_the_sentinels_and_they_are_told() {
    let scene = primary_lost().recorded(Topology {
        target: Some(target("b-redis-2", 2, false)),
        ..primary("b-redis-0", 1)
    });
    let order = format!("{:?}", scene.actions());
    assert!(order.contains("instead_of: Some(\"b-redis-0\")"), "{order}");
    assert_eq!(
        scene.orders(),
        [("b-redis-2".to_owned(), "b-redis-2".to_owned())]
    );

    let replaced = primary_lost()
        .recorded(primary("b-redis-1", 2))
        .node(1, led_by("b-redis-1", 2));
    let lost = Some("b-redis-0".to_owned());
    let told: Vec<_> = replaced.monitors();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|(_, instead_of)| *instead_of == lost));
}

#[test]
fn a_named_primary_leads_empty_where_all_are_empty() {
    let scene = Scene::well()
        .node(0, holds())
        .node(1, empty())
        .node(2, empty());
    assert_eq!(scene.chosen(), ("b-redis-0".to_owned(), true));
}

#[test]
fn a_named_pod_that_follows_is_made_to_lead_after_a_while() {
    let unlinked = |primary: &str| DataStatus {
        replication: None,
        handover: None,
        ..follows(primary, 1)
    };
    let scene = Scene::well()
        .node(0, unlinked("b-redis-1"))
        .node(1, unlinked("b-redis-0"))
        .node(2, unlinked("b-redis-0"));
    assert_eq!(scene.record().choosing_since, Some(ago(0)));
    let waiting = |seconds| {
        scene.clone().recorded(Topology {
            choosing_since: Some(ago(seconds)),
            ..primary("b-redis-0", 1)
        })
    };
    assert_eq!(waiting(30).reasons()[0], reason::PRIMARY_FOLLOWS);
    let chosen = waiting(35);
    assert_eq!(chosen.chosen(), ("b-redis-0".to_owned(), false));
    let ordered = chosen.clone().recorded(chosen.record());
    assert_eq!(
        ordered.orders(),
        [("b-redis-0".to_owned(), "b-redis-0".to_owned())]
    );
}
