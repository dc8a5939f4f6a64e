//! Buses that begin with a backup.

use crate::scene::{Scene, empty, marker, primary, sealed};
use crate::status::reported;
use cachebus_core::backup::{Failure, Report, Restoration as Restored, Task, TaskPhase, TaskPod};
use cachebus_core::names::Component;
use cachebus_core::plan::{Restoration, asleep, reason, restoration};
use cachebus_core::protocol::{DataStatus, Marker};
use std::collections::BTreeSet;

const BOOTSTRAP: &str = r"
bootstrap:
  fromBackup:
    destination: {volume: {claimName: claim}}
    path: n/old/one
";

fn fresh() -> Scene {
    Scene::new(BOOTSTRAP).sentinels_idle()
}

fn restored() -> Scene {
    let mut scene = fresh();
    scene.observed.backups.restoring = Some(ended(Report::Restored(Restored {
        keys: Some(7),
        taken_at_s: 5,
    })));
    assert!(scene.plan().unsettled, "the pods may start at once");
    scene.observed.status.restored = reported(&scene).restored;
    scene
}

fn ended(report: Report) -> TaskPod {
    let phase = match report {
        Report::Restored(_) => TaskPhase::Succeeded,
        _ => TaskPhase::Live,
    };
    TaskPod {
        phase,
        reports: vec![report],
        trouble: None,
    }
}

/// What the data pod reports whose volume got the backup.
fn with_backup() -> DataStatus {
    let mut data = sealed(7, "b-redis-0", 1);
    data.marker = Some(Marker {
        aof: Some(false),
        fence: 0,
        ..marker("b-redis-0", 1)
    });
    data
}

#[test]
fn no_data_pod_runs_before_the_backup_is_on_its_volume() {
    let scene = fresh();
    let of_data = BTreeSet::from([Component::Redis]);
    assert_eq!(asleep(&scene.bus, &scene.observed), of_data);
    let Restoration::Begin(task) = restoration(&scene.bus, &scene.observed) else {
        panic!("a pod restores it");
    };
    let Task::Restore(task) = *task else {
        panic!("it restores");
    };
    assert_eq!((&*task.path, &*task.pod), ("n/old/one", "b-redis-0"));
    assert_eq!(scene.actions(), []);
    assert_eq!(scene.reasons(), [reason::RESTORING]);
    assert!(!scene.plan().unsettled, "its pod is an event");

    let scene = restored();
    assert_eq!(asleep(&scene.bus, &scene.observed), BTreeSet::new());
    assert_eq!(restoration(&scene.bus, &scene.observed), Restoration::Sweep);
    let noted = scene.observed.status.restored.unwrap();
    assert_eq!((&*noted.path, noted.keys), ("n/old/one", Some(7)));
}

#[test]
fn a_backup_that_cannot_be_restored_is_said_and_the_bus_waits() {
    let mut scene = fresh();
    let failure = Failure {
        reason: "NoBackup".to_owned(),
        message: "there is none".to_owned(),
    };
    scene.observed.backups.restoring = Some(ended(Report::Failed(failure)));
    assert_eq!(scene.reasons(), [reason::RESTORE_FAILED]);
    assert!(scene.plan().blocked[0].message.contains("there is none"));
    assert_eq!(restoration(&scene.bus, &scene.observed), Restoration::None);
    assert_eq!(reported(&scene).restored, None);
    // Evicted: kubelet does not start it again.
    scene.observed.backups.restoring.as_mut().unwrap().phase = TaskPhase::Failed;
    assert_eq!(restoration(&scene.bus, &scene.observed), Restoration::Sweep);
}

#[test]
fn the_copy_that_has_the_backup_leads_and_never_an_empty_one() {
    let scene = restored().node(0, with_backup());
    let all = scene.clone().node(1, empty()).node(2, empty());
    assert_eq!(all.chosen(), ("b-redis-0".to_owned(), false));

    let lost = restored()
        .node(0, empty())
        .node(1, empty())
        .node(2, empty());
    assert_eq!(lost.actions(), []);
    assert_eq!(lost.reasons()[0], reason::NOT_RESTORED);
}

#[test]
fn data_of_an_earlier_bus_is_neither_led_with_nor_overwritten() {
    let mut foreign = sealed(9, "b-redis-1", 5);
    foreign.marker.as_mut().unwrap().uid = "earlier".to_owned();
    let scene = restored()
        .node(0, with_backup())
        .node(1, foreign)
        .node(2, empty());
    assert_eq!(scene.actions(), []);
    assert_eq!(scene.reasons()[0], reason::NOT_RESTORED);
    assert!(scene.plan().blocked[0].message.contains("b-redis-1"));
    let mut kept = scene;
    kept.bus.spec.bootstrap = None;
    assert_eq!(kept.chosen().0, "b-redis-0");
}

#[test]
fn a_bus_that_has_had_a_primary_never_gets_a_backup() {
    let scene = fresh().recorded(primary("b-redis-0", 3));
    assert_eq!(asleep(&scene.bus, &scene.observed), BTreeSet::new());
    assert_eq!(restoration(&scene.bus, &scene.observed), Restoration::None);
}

#[test]
fn a_bus_that_is_left_alone_is_not_restored_to() {
    for change in [
        |scene: &mut Scene| scene.bus.spec.paused = true,
        |scene: &mut Scene| scene.bus.spec.hibernated = true,
    ] {
        let mut scene = fresh();
        change(&mut scene);
        assert_eq!(restoration(&scene.bus, &scene.observed), Restoration::None);
        assert!(asleep(&scene.bus, &scene.observed).contains(&Component::Redis));
    }
    let mut scene = fresh();
    scene.bus.spec.hibernated = true;
    assert_eq!(asleep(&scene.bus, &scene.observed).len(), 2);
}
