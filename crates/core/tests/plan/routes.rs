//! Where the Services lead, also while the primary moves.

use crate::scene::{Scene, follows, holds, leads, primary, sealed};
use crate::status::reported;
use cachebus_core::protocol::{DataStatus, Phase, ReplicationStatus};
use proptest::prelude::*;

fn to(primary: &str, replicas: &[&str]) -> (Option<String>, Vec<String>) {
    (
        Some(primary.to_owned()),
        replicas.iter().map(|&pod| pod.to_owned()).collect(),
    )
}

fn unlinked(primary: &str) -> DataStatus {
    DataStatus {
        replication: None,
        handover: None,
        ..follows(primary, 1)
    }
}

fn down() -> DataStatus {
    DataStatus {
        phase: Phase::Down,
        ..holds()
    }
}

#[test]
fn services_lead_to_a_primary_that_leads_and_to_replicas_in_sync() {
    let scene = Scene::well();
    assert_eq!(scene.routed(), to("b-redis-0", &["b-redis-1", "b-redis-2"]));
    let mut dropped = follows("b-redis-0", 1);
    dropped.replication = Some(ReplicationStatus {
        was_in_sync: true,
        ..ReplicationStatus::default()
    });
    let just_now = scene.clone().node(2, dropped);
    assert_eq!(just_now.routed(), scene.routed());
    let lagging = scene.node(2, unlinked("b-redis-0"));
    assert_eq!(lagging.routed(), to("b-redis-0", &["b-redis-1"]));
}

#[test]
fn a_primary_that_does_not_lead_is_left_in_place_until_another_is_named() {
    let at_rest = Scene::well();
    let down = at_rest.clone().node(0, down());
    let sealed_again = at_rest.clone().node(0, sealed(7, "b-redis-0", 1));
    let demoted = at_rest.clone().node(0, follows("b-redis-1", 2));
    for scene in [down, sealed_again, demoted] {
        assert_eq!(scene.routed().0.as_deref(), Some("b-redis-0"));
        assert_eq!(scene.routed_ready(), Some(true), "as kubelet says");
        assert_eq!(scene.not_ready("b-redis-0").routed_ready(), Some(false));
    }
    let named_other = at_rest.all_watch("b-redis-1", 1);
    assert_eq!(named_other.routed().0.as_deref(), Some("b-redis-1"));
}

#[test]
fn the_route_to_a_pod_that_was_deleted_by_force_stays_until_another_is_named_or_it_was_long_ago() {
    let mut gone = Scene::well();
    gone.observed.status.conditions = reported(&gone).conditions;
    let node = gone.observed.data.get_mut("b-redis-0").unwrap();
    (node.pod, node.agent) = (None, None);
    assert!(gone.route_stays());
    let moved = gone.clone().all_watch("b-redis-1", 1);
    assert!(!moved.route_stays());
    assert_eq!(moved.routed().0.as_deref(), Some("b-redis-1"));

    gone.observed.status.conditions = reported(&gone).conditions;
    assert!(gone.route_stays(), "it has just been told");
    gone.observed.now_ms += 10_000;
    assert!(!gone.route_stays());
    assert_eq!(gone.routed().0, None);
}

#[test]
fn who_leads_is_ready_before_kubelet_says_so() {
    assert_eq!(
        Scene::well().not_ready("b-redis-0").routed_ready(),
        Some(true)
    );
}

#[test]
fn whole_copies_are_read_while_there_is_no_primary() {
    let mut in_part = unlinked("b-redis-0");
    in_part.marker.as_mut().unwrap().complete = false;
    let down = Scene::well().node(0, down()).node(1, unlinked("b-redis-0"));
    let two = down.clone().node(2, unlinked("b-redis-0"));
    assert_eq!(two.routed(), to("b-redis-0", &["b-redis-1", "b-redis-2"]));
    let one = down.clone().node(2, in_part);
    assert_eq!(one.routed(), to("b-redis-0", &["b-redis-1"]));
    let not_named_yet = two
        .clone()
        .node(1, leads(2))
        .node(2, follows("b-redis-1", 2));
    let old_report = not_named_yet.clone().node(0, leads(1));
    for scene in [not_named_yet, old_report] {
        assert_eq!(scene.routed(), two.routed(), "one change when it is named");
    }
}

#[test]
fn a_link_that_breaks_while_the_pod_of_the_primary_ends_changes_no_route() {
    let mut ending = Scene::well();
    ending.pod("b-redis-0").terminating = true;
    let broken = ending.clone().node(1, unlinked("b-redis-0"));
    assert_eq!(
        broken.routed(),
        ending.routed(),
        "its server follows another, and its agent has yet to report it"
    );
    let moved = broken.switched("b-redis-1");
    assert_eq!(moved.routed(), to("b-redis-1", &["b-redis-2"]));
}

#[test]
fn the_routes_move_ahead_of_the_record_with_the_replicas_that_are_left() {
    let switched = Scene::well().switched("b-redis-1");
    assert_eq!(switched.routed(), to("b-redis-1", &["b-redis-2"]));

    let recorded = switched.clone().recorded(primary("b-redis-1", 2));
    assert_eq!(recorded.routed(), to("b-redis-1", &["b-redis-2"]));

    let one_has_come = recorded
        .node(0, follows("b-redis-1", 2))
        .node(2, follows("b-redis-0", 1));
    assert_eq!(one_has_come.routed(), to("b-redis-1", &["b-redis-0"]));
}

#[test]
fn a_minority_moves_nothing() {
    let scene = Scene::well()
        .switched("b-redis-1")
        .all_watch("b-redis-0", 0);
    let moved = scene.watch(0, "b-redis-1", 1);
    let scene = scene.sentinel(0, Some(moved));
    assert_eq!(scene.routed().0.as_deref(), Some("b-redis-0"));
}

#[test]
fn who_is_named_and_has_lost_its_dataset_is_not_followed() {
    let scene = Scene::well()
        .recorded(primary("b-redis-1", 2))
        .node(0, holds())
        .node(1, leads(2))
        .node(2, follows("b-redis-1", 2));
    assert_eq!(scene.routed(), to("b-redis-1", &["b-redis-2"]));
}

#[test]
fn who_says_nothing_is_left_in_place_while_no_majority_names_another() {
    let silent = Scene::well().silent(0);
    assert_eq!(silent.routed().0.as_deref(), Some("b-redis-0"));
    let replaced = silent.switched("b-redis-1");
    assert_eq!(replaced.routed().0.as_deref(), Some("b-redis-1"));
}

const PODS: [&str; 3] = ["b-redis-0", "b-redis-1", "b-redis-2"];

fn pod() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PODS.as_slice())
}

fn report() -> impl Strategy<Value = Option<DataStatus>> {
    prop_oneof![
        Just(None),
        Just(Some(leads(1))),
        Just(Some(holds())),
        Just(Some(sealed(7, "b-redis-0", 1))),
        pod().prop_map(|pod| Some(follows(pod, 1))),
        pod().prop_map(|pod| Some(unlinked(pod))),
    ]
}

proptest! {
    #[test]
    fn the_recorded_primary_is_routed_to_only_while_no_majority_names_another(
        recorded in pod(),
        named in [pod(), pod(), pod()],
        reports in [report(), report(), report()],
    ) {
        let mut scene = Scene::well().recorded(primary(recorded, 1));
        for (ordinal, report) in (0..).zip(&reports) {
            scene = match report {
                Some(report) => scene.node(ordinal, report.clone()),
                None => scene.silent(ordinal),
            };
        }
        for (ordinal, named) in (0..).zip(named) {
            let watch = scene.watch(ordinal, named, 1);
            scene = scene.sentinel(ordinal, Some(watch));
        }
        let (primary, replicas) = scene.routed();
        let majority = PODS.into_iter().find(|pod| {
            named.iter().filter(|named| *named == pod).count() > 1
        });
        let report_of = |pod: &str| {
            let ordinal = PODS.iter().position(|other| *other == pod).unwrap();
            reports[ordinal].as_ref()
        };
        if let Some(primary) = &primary {
            prop_assert!(Some(primary.as_str()) == majority || primary == recorded);
            let other_leads = majority.is_some_and(|pod| {
                pod != primary && report_of(pod).is_some_and(|data| data.phase == Phase::Leading)
            });
            prop_assert!(!other_leads, "{majority:?} is named and leads");
        }
        for pod in replicas {
            prop_assert!(Some(&pod) != primary.as_ref());
            let phase = &report_of(&pod).unwrap().phase;
            prop_assert!(matches!(phase, Phase::Following(_) | Phase::Leading));
        }
    }
}
