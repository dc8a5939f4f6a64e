//! What is told of the last change of the primary.

use crate::scene::{Scene, ago, primary, target};
use crate::status::reported;
use cachebus_api::status::{LastFailover, Topology};
use cachebus_core::events::between;
use cachebus_core::protocol::{HandoverCause, HandoverOutcome};
use cachebus_core::status::recorded;

const DONE: HandoverOutcome = HandoverOutcome::Done { write_gap_ms: 187 };

/// The reason and the gap that are told of a change to `b-redis-1`.
fn told(scene: &Scene) -> (String, Option<u64>) {
    let LastFailover {
        from,
        to,
        reason,
        write_gap_ms,
        finished_at,
    } = reported(scene).last_failover.unwrap();
    assert_eq!((from.as_str(), to.as_str()), ("b-redis-0", "b-redis-1"));
    assert_eq!(finished_at, ago(0));
    (reason, write_gap_ms)
}

#[test]
fn the_reason_is_the_decision_or_what_the_old_primarys_agent_says() {
    let moved = Scene::well().switched("b-redis-1");
    let decided = |why| {
        Scene::well()
            .handing_over(Some("b-redis-1"), why, 1)
            .switched("b-redis-1")
    };
    let by = |scene: Scene, cause| scene.hands_over(0, 1, cause, DONE);
    let mut stopping = moved.clone().silent(0);
    stopping.pod("b-redis-0").terminating = true;
    let chosen = moved.clone().recorded(Topology {
        target: Some(target("b-redis-1", 2, false)),
        ..primary("b-redis-0", 1)
    });
    for (scene, reason, gap) in vec![
        (moved.clone(), "SentinelFailover", None),
        (
            by(moved.clone(), HandoverCause::Stopped),
            "PodStopped",
            Some(187),
        ),
        (
            by(moved.clone(), HandoverCause::Crashed),
            "ServerCrashed",
            Some(187),
        ),
        (
            by(decided("Switchover"), HandoverCause::Ordered),
            "Switchover",
            Some(187),
        ),
        (
            by(decided("Rollout"), HandoverCause::Ordered),
            "Rollout",
            Some(187),
        ),
        (
            by(decided("ScaleDown"), HandoverCause::Crashed),
            "ServerCrashed",
            Some(187),
        ),
        (decided("ScaleDown").silent(0), "ScaleDown", None),
        (stopping, "PodStopped", None),
        (chosen, "Because", None),
    ] {
        assert_eq!(told(&scene), (reason.to_owned(), gap));
    }
}

#[test]
fn a_report_of_another_change_says_nothing_of_this_one() {
    let moved = Scene::well().switched("b-redis-1");
    let mut accounted = moved.clone().hands_over(0, 3, HandoverCause::Crashed, DONE);
    accounted
        .observed
        .status
        .topology
        .as_mut()
        .unwrap()
        .handovers = 3;
    let to_another =
        Scene::well()
            .switched("b-redis-2")
            .hands_over(0, 1, HandoverCause::Crashed, DONE);
    let failed = moved.hands_over(0, 1, HandoverCause::Crashed, HandoverOutcome::Running);
    assert_eq!(told(&accounted).1, None);
    let other = reported(&to_another).last_failover.unwrap();
    assert_eq!(other.write_gap_ms, None);
    assert_eq!(failed.actions(), [], "it may still end");
}

#[test]
fn handovers_of_a_new_primary_count_from_what_it_reported_before() {
    let scene = Scene::well()
        .switched("b-redis-1")
        .hands_over(1, 6, HandoverCause::Ordered, DONE);
    assert_eq!(scene.record().handovers, 6);
}

#[test]
fn it_is_written_with_the_record_and_then_stays() {
    let mut scene = Scene::well().switched("b-redis-1");
    let before = scene.observed.status.clone();
    assert_eq!(reported(&Scene::well()).last_failover, None);
    let written = recorded(&scene.bus, &scene.observed, &scene.record());
    assert_eq!(written.last_failover, reported(&scene).last_failover);
    scene.observed.status = written;
    scene.observed.now_ms += 60_000;
    let later = reported(&scene);
    assert_eq!(later.last_failover, scene.observed.status.last_failover);

    let changes = |before, after| {
        let events = between(before, after).into_iter();
        let notes = events.filter(|event| event.action == "Primary");
        notes
            .map(|event| (event.reason, event.note))
            .collect::<Vec<_>>()
    };
    let note = "b-redis-1 is the primary now, b-redis-0 was before (epoch 2): SentinelFailover";
    assert_eq!(
        changes(&before, &later),
        [("PrimaryChanged".to_owned(), note.to_owned())]
    );
    assert_eq!(changes(&scene.observed.status, &later), []);
}
