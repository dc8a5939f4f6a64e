//! Backups: when one is made, of whom, and what becomes of it.

use crate::scene::{NOW_S, Scene, ago, follows, leads, primary};
use crate::status::{condition, reported};
use cachebus_api::BackupStatus;
use cachebus_api::CacheBusBackupSpec;
use cachebus_api::status::{BackupPhase, BackupProgress};
use cachebus_core::backup::{
    BackupAction, BackupView, Failure, Loaded, Report, Taken, Task, TaskPhase, TaskPod,
    backup_reason, plan_backups, told,
};

const BACKUP: &str = r#"
backup:
  schedule: "*/10 * * * *"
  destination: {s3: {bucket: backups, credentialsSecret: s3}}
  retention: {count: 2}
  encryption: {secretName: age}
  verify: true
"#;

/// A bus that is well, with backups asked for, each with its status.
fn scene(spec: &str, backups: Vec<BackupView>) -> Scene {
    let mut scene = Scene::well();
    scene.bus.spec.backup = Scene::new(spec).bus.spec.backup;
    scene.observed.backups.all = backups;
    scene.observed.status.backup = Some(BackupProgress {
        scheduled_through: Some(ago(0)),
        ..BackupProgress::default()
    });
    scene
}

fn asked(name: &str, seconds_ago: u64) -> BackupView {
    BackupView {
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        created_ms: (u64::try_from(NOW_S).unwrap() - seconds_ago) * 1_000,
        spec: CacheBusBackupSpec {
            bus: "b".to_owned(),
            ..CacheBusBackupSpec::default()
        },
        ..BackupView::default()
    }
}

fn in_phase(phase: BackupPhase, seconds_ago: i64, backup: BackupView) -> BackupView {
    BackupView {
        status: BackupStatus {
            phase: Some(phase),
            started_at: Some(ago(seconds_ago)),
            finished_at: (phase != BackupPhase::Running).then(|| ago(seconds_ago - 1)),
            path: Some(format!("n/b/{}", backup.name)),
            ..BackupStatus::default()
        },
        ..backup
    }
}

fn running(seconds: i64, pod: Option<TaskPod>) -> BackupView {
    let running = in_phase(BackupPhase::Running, seconds, asked("one", 100));
    BackupView { pod, ..running }
}

fn pod(phase: TaskPhase, reports: Vec<Report>) -> TaskPod {
    TaskPod {
        phase,
        reports,
        trouble: None,
    }
}

fn taken() -> Report {
    Report::Taken(Taken {
        source: "b-redis-2".to_owned(),
        engine_version: Some("8.0.6".to_owned()),
        size_bytes: 5,
        keys: Some(3),
        sha256: "abc".to_owned(),
    })
}

fn failed(reason: &str) -> Report {
    Report::Failed(Failure {
        reason: reason.to_owned(),
        message: "why".to_owned(),
    })
}

fn actions(scene: &Scene) -> Vec<BackupAction> {
    plan_backups(&scene.bus, &scene.observed)
}

/// The status that is written.
fn written(scene: &Scene) -> BackupStatus {
    let mut reports = actions(scene)
        .into_iter()
        .filter_map(|action| match action {
            BackupAction::Report { status, .. } => Some(*status),
            _ => None,
        });
    reports.next_back().unwrap()
}

fn started(scene: &Scene) -> Option<(String, Vec<Task>)> {
    actions(scene).into_iter().find_map(|action| match action {
        BackupAction::Start { name, tasks, .. } => Some((name, tasks)),
        _ => None,
    })
}

#[test]
fn the_first_that_was_asked_for_is_made_of_replicas_in_sync_and_the_next_waits() {
    let scene = scene(BACKUP, vec![asked("two", 50), asked("one", 100)]);
    let (name, tasks) = started(&scene).unwrap();
    assert_eq!(name, "one");
    let [Task::Backup(take), Task::Verify(verify)] = &tasks[..] else {
        panic!("{tasks:?}");
    };
    let pods: Vec<_> = take.sources.iter().map(|source| &source.pod).collect();
    assert_eq!(pods, ["b-redis-2", "b-redis-1"]);
    assert_eq!(verify.path, "n/b/one");
    assert!(take.encrypted);
    let status = written(&scene);
    assert_eq!(status.phase, Some(BackupPhase::Running));
    assert_eq!(status.destination.as_deref(), Some("s3://backups"));

    let busy = Scene {
        observed: {
            let mut observed = scene.observed.clone();
            observed.backups.all = vec![running(10, None), asked("two", 50)];
            observed
        },
        ..scene
    };
    assert_eq!(actions(&busy), []);
}

#[test]
fn older_ones_are_deleted_after_one_of_the_schedule_that_is_whole_and_proven() {
    let mut of_schedule = asked("one", 100);
    let steps = |backup: &BackupView| {
        let (_, tasks) = started(&scene(BACKUP, vec![backup.clone()])).unwrap();
        let step = |task: &Task| match task {
            Task::Backup(_) => "take",
            Task::Verify(_) => "verify",
            Task::Prune(_) => "prune",
            Task::Restore(_) => "restore",
        };
        tasks.iter().map(step).collect::<Vec<_>>()
    };
    assert_eq!(steps(&of_schedule), ["take", "verify"]);
    of_schedule.scheduled = true;
    assert_eq!(steps(&of_schedule), ["take", "verify", "prune"]);
}

#[test]
fn the_primary_gives_its_data_only_where_there_shall_be_no_replica() {
    let mut lonely = scene(BACKUP, vec![asked("one", 100)]);
    for ordinal in [1, 2] {
        lonely = lonely.silent(ordinal);
    }
    assert_eq!(started(&lonely), None);
    let status = written(&lonely);
    assert_eq!(status.phase, Some(BackupPhase::Pending));
    assert_eq!(status.reason.as_deref(), Some(backup_reason::NO_SOURCE));
    lonely.observed.backups.all[0].status = status;
    assert_eq!(actions(&lonely), [], "it is said once");

    let mut single = Scene::new("replicas: 0")
        .recorded(primary("b-redis-0", 1))
        .node(0, leads(1));
    single.bus.spec.backup = lonely.bus.spec.backup.clone();
    single.observed.backups.all = vec![asked("one", 100)];
    let (_, tasks) = started(&single).unwrap();
    let Task::Backup(take) = &tasks[0] else {
        panic!("{tasks:?}");
    };
    assert_eq!(take.sources[0].pod, "b-redis-0");
}

#[test]
fn a_replica_that_is_being_deleted_or_is_not_linked_gives_none() {
    let mut unlinked = follows("b-redis-0", 1);
    unlinked.replication.as_mut().unwrap().link_up = false;
    let mut scene = scene(BACKUP, vec![asked("one", 100)]).node(1, unlinked);
    scene.pod("b-redis-2").terminating = true;
    assert_eq!(started(&scene), None);
}

#[test]
fn a_backup_may_go_elsewhere_and_then_is_encrypted_only_if_it_says_so() {
    let mut elsewhere = asked("one", 100);
    elsewhere.spec.destination =
        serde_json::from_str(r#"{"volume": {"claimName": "claim"}}"#).unwrap();
    elsewhere.spec.verify = Some(false);
    let scene = scene(BACKUP, vec![elsewhere.clone()]);
    let (_, tasks) = started(&scene).unwrap();
    assert_eq!(tasks.len(), 1);
    assert_eq!(written(&scene).encrypted, Some(false));
    assert_eq!(written(&scene).destination.as_deref(), Some("claim claim"));

    let mut nowhere = Scene::well();
    nowhere.observed.backups.all = vec![asked("one", 100)];
    assert_eq!(started(&nowhere), None);
    let status = written(&nowhere);
    assert_eq!(
        status.reason.as_deref(),
        Some(backup_reason::NO_DESTINATION)
    );
    assert_eq!(status.phase, Some(BackupPhase::Failed));
}

#[test]
fn one_whose_containers_all_ended_well_is_whole_and_its_pod_goes() {
    let reports = vec![taken(), Report::Verified(Loaded::default())];
    let scene = scene(
        BACKUP,
        vec![running(10, Some(pod(TaskPhase::Succeeded, reports)))],
    );
    let status = written(&scene);
    assert_eq!(status.phase, Some(BackupPhase::Succeeded));
    assert_eq!((status.keys, status.verified), (Some(3), Some(true)));
    assert_eq!(status.path.as_deref(), Some("n/b/one"));
    let sweep = BackupAction::Sweep {
        name: "one".to_owned(),
    };
    assert!(actions(&scene).contains(&sweep));
}

#[test]
fn one_that_cannot_be_loaded_has_failed_though_it_is_stored() {
    let reports = vec![taken(), failed("KeysDiffer")];
    let scene = scene(
        BACKUP,
        vec![running(10, Some(pod(TaskPhase::Failed, reports)))],
    );
    let status = written(&scene);
    assert_eq!(status.phase, Some(BackupPhase::Failed));
    assert_eq!(status.reason.as_deref(), Some(backup_reason::NOT_VERIFIED));
    assert_eq!(status.message.as_deref(), Some("KeysDiffer: why"));
    assert_eq!(status.verified, Some(false));
    // Its log stays.
    assert_eq!(actions(&scene).len(), 1);
}

#[test]
fn one_whose_pod_failed_says_why_and_one_whose_pod_is_gone_is_given_up_after_a_while() {
    let outcome = |backup| {
        let status = written(&scene(BACKUP, vec![backup]));
        assert_eq!(status.phase, Some(BackupPhase::Failed));
        status.reason.unwrap()
    };
    let said = pod(TaskPhase::Failed, vec![failed("StorageFailed")]);
    assert_eq!(outcome(running(10, Some(said))), "StorageFailed");
    let mute = pod(TaskPhase::Failed, Vec::new());
    assert_eq!(outcome(running(10, Some(mute))), backup_reason::POD_FAILED);
    assert_eq!(outcome(running(31, None)), backup_reason::POD_LOST);
    assert_eq!(actions(&scene(BACKUP, vec![running(29, None)])), []);
    let slow = running(7 * 3_600, Some(pod(TaskPhase::Live, Vec::new())));
    assert_eq!(outcome(slow), backup_reason::DEADLINE);
}

#[test]
fn what_has_ended_is_not_touched_again() {
    let ended = [BackupPhase::Succeeded, BackupPhase::Failed]
        .map(|phase| in_phase(phase, 100, asked("one", 100)));
    for backup in ended {
        assert_eq!(actions(&scene(BACKUP, vec![backup])), []);
    }
}

#[test]
fn a_schedule_begins_when_it_is_seen_and_asks_once_for_each_time() {
    // The last time of the schedule is the present one.
    let mut scene = scene(BACKUP, Vec::new());
    let last = ago(0);
    let name = "b-20270115-0800";
    scene.observed.status.backup = None;
    assert_eq!(actions(&scene), []);
    let progress = reported(&scene).backup.unwrap();
    assert_eq!(progress.scheduled_through, Some(last.clone()));

    scene.observed.status.backup = Some(BackupProgress {
        scheduled_through: Some(ago(3_600)),
        ..progress
    });
    let schedule = BackupAction::Schedule {
        name: name.to_owned(),
    };
    assert_eq!(actions(&scene), *std::slice::from_ref(&schedule));
    // Not served before its object is there.
    let through = |scene: &Scene| reported(scene).backup.unwrap().scheduled_through;
    assert_eq!(through(&scene), Some(ago(3_600)));
    let mut there = scene.clone();
    there.observed.backups.all = vec![in_phase(BackupPhase::Failed, 1, asked(name, 1))];
    assert_eq!(actions(&there), []);
    assert_eq!(through(&there), Some(last));

    // Nor while an earlier one of the schedule waits: they would pile up.
    let mut waiting = scene.clone();
    waiting.observed.backups.all = vec![BackupView {
        scheduled: true,
        ..running(10, None)
    }];
    assert_eq!(actions(&waiting), []);

    for change in [
        |scene: &mut Scene| scene.bus.spec.paused = true,
        |scene: &mut Scene| scene.bus.spec.hibernated = true,
        |scene: &mut Scene| scene.bus.spec.backup.as_mut().unwrap().suspend = true,
    ] {
        let mut quiet = scene.clone();
        change(&mut quiet);
        assert!(!actions(&quiet).contains(&schedule));
    }
}

#[test]
fn objects_of_the_schedule_go_with_what_is_stored_and_failed_ones_but_the_last_three() {
    let of_schedule = |name: &str, phase, seconds: u32| BackupView {
        scheduled: true,
        ..in_phase(phase, seconds.into(), asked(name, seconds.into()))
    };
    let mut all: Vec<_> = (1..=4)
        .map(|age| of_schedule(&format!("whole{age}"), BackupPhase::Succeeded, age * 100))
        .collect();
    all.extend(
        (1..=4).map(|age| of_schedule(&format!("bad{age}"), BackupPhase::Failed, age * 100)),
    );
    all.push(in_phase(
        BackupPhase::Succeeded,
        9_000,
        asked("mine", 9_000),
    ));
    let forgotten: Vec<_> = actions(&scene(BACKUP, all))
        .into_iter()
        .map(|action| match action {
            BackupAction::Forget { name } => name,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(forgotten, ["whole4", "whole3", "bad4"]);
}

#[test]
fn the_condition_speaks_of_the_last_one_and_is_no_part_of_ready() {
    let state = |backups| {
        let status = reported(&scene(BACKUP, backups));
        let found = condition(&status, "BackedUp");
        (found.status.clone(), found.reason.clone())
    };
    let owned = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    assert_eq!(state(Vec::new()), owned("Unknown", "NoBackupYet"));
    let whole = in_phase(BackupPhase::Succeeded, 100, asked("one", 100));
    let bad = in_phase(BackupPhase::Failed, 50, asked("two", 50));
    assert_eq!(
        state(vec![whole.clone()]),
        owned("True", "LastBackupSucceeded")
    );
    assert_eq!(
        state(vec![whole.clone(), bad.clone()]),
        owned("False", "LastBackupFailed")
    );
    let status = reported(&scene(BACKUP, vec![whole, bad]));
    assert_eq!(condition(&status, "Ready").status, "True");
    assert_eq!(
        status.backup.unwrap().last_successful.as_deref(),
        Some("one")
    );
}

#[test]
fn people_are_told_of_each_change_once() {
    let before = running(10, None).status;
    let whole = in_phase(BackupPhase::Succeeded, 10, asked("one", 100)).status;
    let events = told(&before, &whole);
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].warning, &*events[0].reason),
        (false, "BackupSucceeded")
    );
    assert_eq!(told(&whole, &whole), []);
    let bad = in_phase(BackupPhase::Failed, 10, asked("one", 100)).status;
    assert!(told(&before, &bad)[0].warning);
}
