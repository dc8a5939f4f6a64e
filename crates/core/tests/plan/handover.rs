//! Planned changes of the primary: asked for by a person, or since its pod goes away.

use crate::scene::{Scene, ago, desired, follows, leads, leads_as, primary, sealed};
use crate::status::{condition, is, reported};
use cachebus_api::status::{Handover, Topology};
use cachebus_core::events::between;
use cachebus_core::handover::refusal;
use cachebus_core::plan::{Action, handover_intended, kept, plan, reason, refused};
use cachebus_core::protocol::{
    DataStatus, HandoverCause, HandoverOrder, HandoverOutcome, Phase, Refusal, ReplicationStatus,
};
use cachebus_core::status::kind;

fn failed() -> HandoverOutcome {
    HandoverOutcome::Failed(Refusal {
        reason: "NotInSync".to_owned(),
        message: "b-redis-1 lags".to_owned(),
    })
}

/// What the plan answers to the request: the handover that it records, and why it refuses.
fn answer(scene: &Scene) -> (Option<Handover>, Option<String>) {
    let mut recorded = None;
    let mut refusals = Vec::new();
    for action in scene.actions() {
        match action {
            Action::Record(topology) => recorded = topology.handover,
            Action::Answer { asked, refusal } => {
                assert_eq!(Some(asked), scene.observed.request);
                refusals.push(refusal);
            }
            other => panic!("{other:?}"),
        }
    }
    let [refusal] = refusals.as_slice() else {
        panic!("one answer is expected, not {refusals:?}");
    };
    (recorded, refusal.clone())
}

fn ordered(scene: &Scene) -> Option<(String, HandoverOrder)> {
    scene.actions().into_iter().find_map(|action| match action {
        Action::HandOver { pod, order } => Some((pod, order)),
        _ => None,
    })
}

#[test]
fn a_request_is_recorded_and_taken_off_before_anything_follows() {
    let asked = Scene::well().asks("b-redis-2");
    let (handover, refusal) = answer(&asked);
    let handover = handover.unwrap();
    assert_eq!((handover.to.as_deref(), refusal), (Some("b-redis-2"), None));
    assert_eq!(
        (handover.reason.as_str(), handover.since),
        ("Switchover", ago(0))
    );
    let (any, _) = answer(&Scene::well().asks("any"));
    assert_eq!(any.unwrap().to, None);
    assert!(matches!(asked.actions()[0], Action::Record(_)), "first");

    let left_there = Scene::well()
        .handing_over(Some("b-redis-2"), "Switchover", 1)
        .asks("b-redis-2");
    assert_eq!(answer(&left_there), (None, None));
}

#[test]
fn a_request_that_cannot_be_met_is_refused_with_its_reason() {
    let unlinked = DataStatus {
        replication: Some(ReplicationStatus::default()),
        ..follows("b-redis-0", 1)
    };
    let well = Scene::well;
    let mut unready = well().asks("b-redis-1");
    unready.pod("b-redis-1").ready = false;
    let alone = Scene::new("{replicas: 0}")
        .recorded(primary("b-redis-0", 1))
        .node(0, leads(1))
        .all_watch("b-redis-0", 0);
    let busy = well().handing_over(None, "Rollout", 1);
    for (scene, why) in vec![
        (well().asks("c-redis-1"), "c-redis-1 is no data pod of b"),
        (
            well().asks("b-sentinel-1"),
            "b-sentinel-1 is no data pod of b",
        ),
        (well().asks(""), " is no data pod of b"),
        (
            well().asks("b-redis-3"),
            "b-redis-3 is none of the 3 data pods of the spec",
        ),
        (well().asks("b-redis-0"), "b-redis-0 is the primary already"),
        (unready, "b-redis-1 is not ready"),
        (
            well().node(1, unlinked.clone()).asks("b-redis-1"),
            "b-redis-1 is not in sync",
        ),
        (
            well()
                .node(1, unlinked.clone())
                .node(2, unlinked)
                .asks("any"),
            "b-redis-0 is the primary already, b-redis-1 is not in sync, b-redis-2 is not in sync",
        ),
        (alone.asks("any"), "the bus has no replicas"),
        (
            busy.asks("any"),
            "the lead is being handed over already (Rollout)",
        ),
    ] {
        assert_eq!(answer(&scene), (None, Some(why.to_owned())));
    }
}

#[test]
fn while_no_primary_leads_a_request_is_refused() {
    let scene = Scene::new("{}")
        .recorded(primary("b-redis-0", 1))
        .sentinels_idle()
        .node(1, sealed(7, "b-redis-0", 1));
    let waiting = scene.recorded(Topology {
        choosing_since: Some(ago(1)),
        ..primary("b-redis-0", 1)
    });
    let (recorded, refusal) = answer(&waiting.asks("b-redis-1"));
    assert_eq!(recorded, None);
    assert!(refusal.unwrap().starts_with("a primary is chosen when"));
}

#[test]
fn the_primarys_agent_is_ordered_and_nothing_else_changes_the_topology() {
    let scene = Scene::well().handing_over(Some("b-redis-1"), "Switchover", 1);
    let order = HandoverOrder {
        uid: scene.bus.uid.clone(),
        epoch: 1,
        to: Some("b-redis-1".to_owned()),
    };
    assert_eq!(
        ordered(&scene),
        Some(("b-redis-0".to_owned(), order.clone()))
    );

    // The other leads, and Sentinels have not heard of it.
    let in_between = scene.clone().node(1, leads(2));
    assert_eq!(in_between.orders(), []);
    let running = in_between.hands_over(0, 1, HandoverCause::Ordered, HandoverOutcome::Running);
    assert_eq!(running.actions(), []);
    assert_eq!(running.reasons(), [reason::HANDOVER_RUNNING]);
    assert!(running.plan().unsettled);

    let recorded = scene.observed.status.topology.clone().unwrap();
    assert!(handover_intended(&recorded, "b-redis-0", &order));
    assert!(!handover_intended(&recorded, "b-redis-1", &order));
    for changed in [
        Topology {
            epoch: 2,
            ..recorded.clone()
        },
        Topology {
            handover: None,
            ..recorded.clone()
        },
        refused(
            &recorded,
            &Refusal {
                reason: String::new(),
                message: String::new(),
            },
        ),
    ] {
        assert!(
            !handover_intended(&changed, "b-redis-0", &order),
            "{changed:?}"
        );
    }
}

#[test]
fn a_handover_that_nobody_decided_is_left_to_its_agent_too() {
    let stopped = Scene::well().node(1, leads(2)).hands_over(
        0,
        1,
        HandoverCause::Stopped,
        HandoverOutcome::Running,
    );
    assert_eq!(stopped.actions(), []);
    assert_eq!(stopped.reasons(), [reason::HANDOVER_RUNNING]);
}

#[test]
fn no_order_is_sent_while_the_request_is_there_or_sentinels_move_or_nobody_leads() {
    let scene = Scene::well().handing_over(None, "Switchover", 1);
    let mut watch = scene.watch(0, "b-redis-0", 0);
    watch.failing_over = true;
    for held in [
        scene.clone().asks("any"),
        scene.clone().sentinel(0, Some(watch)),
        scene.clone().silent(0),
    ] {
        assert_eq!(ordered(&held), None);
        assert!(held.plan().unsettled);
    }
    assert!(ordered(&scene).is_some());
}

#[test]
fn one_that_is_done_is_recorded_with_what_it_cost() {
    let done = HandoverOutcome::Done { write_gap_ms: 52 };
    let scene = Scene::well()
        .handing_over(Some("b-redis-1"), "Switchover", 1)
        .switched("b-redis-1")
        .node(0, follows("b-redis-1", 1))
        .hands_over(0, 1, HandoverCause::Ordered, done);
    let before = scene.observed.status.clone();
    let after = reported(&scene);
    let topology = after.topology.clone().unwrap();
    assert_eq!(topology.primary.as_deref(), Some("b-redis-1"));
    assert_eq!(topology.handover, None);
    let [event] = between(&before, &after)
        .into_iter()
        .filter(|event| event.action == "Primary")
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!(
        (event.warning, event.reason.as_str()),
        (false, "SwitchedOver")
    );
    assert_eq!(
        event.note,
        "b-redis-1 is the primary now, b-redis-0 was before (epoch 2): Switchover, no write was taken for 52 ms"
    );
}

#[test]
fn one_that_fails_is_told_once_and_nothing_else_happens() {
    let scene = Scene::well()
        .handing_over(Some("b-redis-1"), "Switchover", 1)
        .hands_over(0, 1, HandoverCause::Ordered, failed());
    let record = scene.record();
    let handover = record.handover.clone().unwrap();
    assert_eq!(
        handover.failed.as_deref(),
        Some("NotInSync: b-redis-1 lags")
    );
    assert_eq!(
        (record.primary.as_deref(), record.handovers),
        (Some("b-redis-0"), 1)
    );
    let notes = |scene: &Scene| -> Vec<(String, String)> {
        let events = between(&scene.observed.status, &reported(scene)).into_iter();
        let events = events.filter(|event| event.action == "Primary");
        events.map(|event| (event.reason, event.note)).collect()
    };
    let note =
        "Switchover to b-redis-1 failed, the primary is the one before: NotInSync: b-redis-1 lags";
    assert_eq!(
        notes(&scene),
        [("SwitchoverFailed".to_owned(), note.to_owned())]
    );

    let mut later = scene.recorded(record);
    assert_eq!(later.actions(), []);
    assert!(!later.plan().unsettled);
    assert_eq!(notes(&later), []);
    later.observed.now_ms += 90_000;
    assert_eq!(later.record().handover, None, "it is forgotten in the end");
}

#[test]
fn one_that_is_refused_before_any_write_was_held_is_ordered_again_for_a_while() {
    let not_yet = |seconds| {
        Scene::well()
            .handing_over(Some("b-redis-1"), "Switchover", seconds)
            .hands_over(
                0,
                1,
                HandoverCause::Ordered,
                HandoverOutcome::Failed(Refusal {
                    reason: refusal::NOT_YET_IN_SYNC.to_owned(),
                    message: "b-redis-1 is not in sync".to_owned(),
                }),
            )
    };
    let scene = not_yet(29);
    let record = scene.record();
    assert_eq!(record.handover.as_ref().unwrap().failed, None);
    assert_eq!(record.handovers, 1, "this answer is accounted for");
    assert!(scene.plan().unsettled);
    assert!(ordered(&scene.recorded(record)).is_some());

    let given_up = not_yet(30).record().handover.unwrap();
    assert_eq!(
        given_up.failed.as_deref(),
        Some("NotYetInSync: b-redis-1 is not in sync")
    );
}

#[test]
fn one_that_is_not_done_in_time_is_given_up() {
    let late = |seconds| Scene::well().handing_over(None, "Rollout", seconds);
    assert!(ordered(&late(29)).is_some());
    let given_up = late(30).record().handover.unwrap();
    assert_eq!(
        given_up.failed.as_deref(),
        Some("it was not done within 30 s")
    );
}

#[test]
fn what_an_agent_reported_before_is_no_answer() {
    let failed_before = Scene::well().hands_over(0, 4, HandoverCause::Ordered, failed());
    let record = match failed_before.clone().asks("b-redis-1").actions().remove(0) {
        Action::Record(record) => record,
        other => panic!("{other:?}"),
    };
    assert_eq!(record.handovers, 4);
    let recorded = failed_before.recorded(record);
    assert!(ordered(&recorded).is_some());
    let crashed = recorded.hands_over(0, 5, HandoverCause::Crashed, failed());
    assert!(ordered(&crashed).is_some());
}

#[test]
fn a_primary_that_is_lost_meanwhile_is_replaced_as_ever() {
    let lost = Scene::well()
        .handing_over(Some("b-redis-1"), "Switchover", 1)
        .switched("b-redis-2");
    let record = lost.record();
    assert_eq!(record.primary.as_deref(), Some("b-redis-2"));
    assert_eq!(record.handover, None);
}

/// A bus of one replica, led by a pod that is one more than that.
fn surplus() -> Scene {
    let mut scene = Scene::well()
        .recorded(primary("b-redis-2", 2))
        .node(0, follows("b-redis-2", 2))
        .node(1, follows("b-redis-2", 2))
        .node(2, leads_as("b-redis-2", 2))
        .all_watch("b-redis-2", 1);
    scene.bus.spec.replicas = 1;
    // It follows from the number of replicas.
    for node in scene.observed.data.values_mut() {
        let labels = node.pod.as_mut().unwrap();
        labels.role = Some("replica".to_owned());
    }
    scene.pod("b-redis-2").role = Some("primary".to_owned());
    scene
}

#[test]
fn a_pod_that_leads_is_kept_before_that_is_recorded() {
    let kept = |mut scene: Scene| {
        scene.bus.spec.replicas = 1;
        kept(&scene.bus, &scene.observed).unwrap()
    };
    assert_eq!(kept(Scene::well()), "b-redis-0");
    assert_eq!(kept(surplus()), "b-redis-2");
    // Sentinels moved the lead while no operator was there.
    assert_eq!(kept(Scene::well().switched("b-redis-2")), "b-redis-2");
    assert_eq!(kept(Scene::well().all_watch("b-redis-2", 1)), "b-redis-2");
    assert_eq!(kept(Scene::well().node(2, leads(2))), "b-redis-2");
}

#[test]
fn a_primary_whose_pod_is_to_go_hands_over_to_one_that_stays() {
    let mut scene = surplus();
    let ahead = |scene: &mut Scene, pod: &str| {
        let node = scene.observed.data.get_mut(pod).unwrap();
        if let cachebus_core::protocol::NodeStatus::Redis(data) =
            &mut node.agent.as_mut().unwrap().node
        {
            data.replication.as_mut().unwrap().offset = 9;
        }
    };
    let handover = |scene: &Scene| {
        let handover = scene.record().handover.unwrap();
        (handover.reason, handover.to.unwrap())
    };
    let down_to = |pod: &str| ("ScaleDown".to_owned(), pod.to_owned());
    assert_eq!(handover(&scene), down_to("b-redis-0"));
    ahead(&mut scene, "b-redis-1");
    assert_eq!(handover(&scene), down_to("b-redis-1"));
    let recorded = scene.clone().recorded(scene.record());
    is(&recorded, kind::ROLLOUT_COMPLETE, "False", "ScalingDown");
    assert!(ordered(&recorded).is_some());
}

#[test]
fn a_primary_whose_pod_is_to_go_stays_while_nobody_could_take_over() {
    let unlinked = DataStatus {
        phase: Phase::Following("b-redis-2".to_owned()),
        replication: None,
        ..follows("b-redis-2", 2)
    };
    let scene = surplus().node(0, unlinked.clone()).node(1, unlinked);
    assert!(
        scene
            .actions()
            .iter()
            .all(|action| !matches!(action, Action::Record(_)))
    );
    is(
        &scene,
        kind::ROLLOUT_COMPLETE,
        "False",
        reason::PRIMARY_BEYOND_REPLICAS,
    );
    let scene = surplus().handing_over(Some("b-redis-0"), "ScaleDown", 40);
    let failed = scene.clone().recorded(scene.record());
    assert_eq!(failed.actions(), []);
    let status = reported(&failed);
    let told = &condition(&status, kind::ROLLOUT_COMPLETE).message;
    assert!(
        told.ends_with("is tried again 90 s after it was decided"),
        "{told}"
    );
}

#[test]
fn a_sentinel_that_still_lists_a_pod_that_went_is_well() {
    let mut scene = Scene::well();
    scene.bus.spec.replicas = 1;
    scene.observed.data.remove("b-redis-2");
    // What each Sentinel knows was made while there were three.
    is(&scene, kind::SENTINEL_QUORUM, "True", "SentinelsAgree");
    let plan = plan(&scene.bus, &scene.observed, &desired());
    assert_eq!(plan.blocked, []);
}
