//! Events for people.

use crate::scene::{Scene, follows, primary};
use crate::status::{condition, reported};
use cachebus_api::CacheBusStatus;
use cachebus_core::bus::Violation;
use cachebus_core::events::between;
use cachebus_core::protocol::DataStatus;
use cachebus_core::status::{invalid, kind};
use serde_json::json;

fn reasons(previous: &CacheBusStatus, next: &CacheBusStatus) -> Vec<(bool, String)> {
    between(previous, next)
        .into_iter()
        .map(|event| (event.warning, event.reason))
        .collect()
}

fn warns(reason: &str) -> (bool, String) {
    (true, reason.to_owned())
}

fn tells(reason: &str) -> (bool, String) {
    (false, reason.to_owned())
}

#[test]
fn nothing_is_said_while_nothing_changes() {
    let status = reported(&Scene::well());
    assert_eq!(between(&status, &status), []);
}

#[test]
fn a_pod_that_was_ended_for_want_of_memory_is_told_of_once_and_for_an_hour() {
    let mut scene = Scene::well();
    let before = reported(&scene);
    let now_ms = scene.observed.now_ms;
    scene.pod("b-redis-1").out_of_memory_ms = Some(now_ms - 1_000);
    let said = reported(&scene);
    let found = condition(&said, kind::MEMORY_SUFFICIENT);
    assert_eq!((&*found.status, &*found.reason), ("False", "OutOfMemory"));
    assert!(found.message.ends_with(": b-redis-1"), "{}", found.message);
    assert_eq!(
        condition(&said, kind::READY),
        condition(&before, kind::READY)
    );
    assert_eq!(reasons(&before, &said), [warns("OutOfMemory")]);
    assert_eq!(reasons(&said, &said), []);
    scene.pod("b-redis-1").out_of_memory_ms = Some(now_ms - 3_600_000);
    let over = reported(&scene);
    assert_eq!(over.conditions.len(), before.conditions.len());
    assert_eq!(reasons(&said, &over), []);
}

#[test]
fn files_that_were_set_aside_are_told_of_once_and_until_they_are_taken_away() {
    let before = reported(&Scene::well());
    let set_aside = DataStatus {
        set_aside: true,
        ..follows("b-redis-0", 1)
    };
    let said = reported(&Scene::well().node(1, set_aside));
    let found = condition(&said, kind::FILES_READABLE);
    assert_eq!((&*found.status, &*found.reason), ("False", "FilesSetAside"));
    assert!(found.message.ends_with(": b-redis-1"), "{}", found.message);
    assert_eq!(
        condition(&said, kind::READY),
        condition(&before, kind::READY)
    );
    assert_eq!(reasons(&before, &said), [warns("FilesSetAside")]);
    assert_eq!(reasons(&said, &said), []);
    let over = reported(&Scene::well());
    assert_eq!(over.conditions.len(), before.conditions.len());
    assert_eq!(reasons(&said, &over), []);
}

#[test]
fn durable_channels_whose_streams_may_be_evicted_are_warned_of_from_the_first() {
    let spec = |policy: &str, durable: bool| {
        format!(
            "{{memory: {{policy: {policy}}}, events: {{channels: [{{name: task, events: [created], durable: {durable}}}]}}}}"
        )
    };
    let told = |spec: &str| {
        let status = reported(&Scene::new(spec));
        between(&CacheBusStatus::default(), &status)
            .into_iter()
            .find(|event| event.action == kind::DURABLE_EVENTS_SAFE)
    };
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        let event = told(&spec(policy, true)).unwrap();
        assert!(event.warning);
        assert_eq!(event.reason, "MayBeEvicted");
        assert!(
            event.note.contains(policy) && event.note.contains("(task)"),
            "{}",
            event.note
        );
        assert_eq!(told(&spec(policy, false)), None);
    }
    for policy in ["noeviction", "volatile-lru", "volatile-ttl"] {
        assert_eq!(told(&spec(policy, true)), None, "{policy}");
    }
}

#[test]
fn what_a_bus_that_starts_still_lacks_is_told_and_no_warning() {
    let starting = reported(&Scene::new("{}"));
    let events = between(&CacheBusStatus::default(), &starting);
    let told: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
    let lacks = ["Available", "ReplicationHealthy", "SentinelQuorum", "Ready"];
    assert_eq!(told, lacks);
    assert!(events.iter().all(|event| !event.warning), "{events:?}");
    let well = reported(&Scene::well());
    let then = between(&starting, &well);
    for event in &events {
        let mut ended = then.iter().filter(|later| later.action == event.action);
        assert!(
            ended.next().is_some_and(|later| !later.warning),
            "{event:?}"
        );
    }
}

#[test]
fn what_nobody_can_tell_any_more_warns_as_it_ends() {
    let well = reported(&Scene::well());
    let with = |status: &str| {
        let mut changed = well.clone();
        for condition in &mut changed.conditions {
            if condition.type_ == "UsersInSync" {
                condition.status = status.to_owned();
                condition.reason = status.to_owned();
            }
        }
        changed
    };
    let (unknown, wrong) = (with("Unknown"), with("False"));
    assert_eq!(reasons(&well, &unknown), [warns("Unknown")]);
    assert_eq!(reasons(&unknown, &wrong), []);
    assert_eq!(reasons(&wrong, &unknown), []);
    assert_eq!(reasons(&unknown, &well), [tells("UsersInSync")]);
}

#[test]
fn each_transition_is_told_once() {
    let well = reported(&Scene::well());
    let broken = reported(&Scene::well().silent(2));
    assert_eq!(
        reasons(&well, &broken),
        [warns("ReplicasNotInSync"), warns("ReplicasNotInSync")]
    );
    let actions: Vec<String> = between(&well, &broken)
        .into_iter()
        .map(|event| event.action)
        .collect();
    assert_eq!(actions, ["ReplicationHealthy", "Ready"]);
    assert_eq!(
        reasons(&broken, &well),
        [tells("ReplicasInSync"), tells("Ready")]
    );
}

#[test]
fn the_primary_is_told_when_it_is_chosen_and_when_it_changes() {
    let mut starting = reported(&Scene::well());
    let well = starting.clone();
    starting.topology = None;
    assert_eq!(reasons(&starting, &well), [tells("PrimaryChosen")]);
    let mut moved = well.clone();
    moved.topology = Some(primary("b-redis-1", 2));
    let [event] = between(&well, &moved).try_into().unwrap();
    assert_eq!(event.reason, "PrimaryChanged");
    assert_eq!(
        event.note,
        "b-redis-1 is the primary now, b-redis-0 was before (epoch 2)"
    );
}

#[test]
fn a_wrong_spec_and_a_holed_engine_warn_from_the_first() {
    let violation = Violation {
        path: "spec.config.bind".to_owned(),
        reason: "DirectiveRefused",
        message: "no".to_owned(),
    };
    let nothing = CacheBusStatus::default();
    let wrong = invalid(&nothing, nothing.clone(), 1, &[violation], 0);
    assert_eq!(
        reasons(&nothing, &wrong),
        [warns("DirectiveRefused"), tells("Invalid")]
    );
    let mut holed = Scene::well();
    for node in holed.observed.data.values_mut() {
        let engine = node.agent.as_mut().unwrap().engine.as_mut().unwrap();
        engine.version = "7.0.1".to_owned();
    }
    let status = reported(&holed);
    assert!(reasons(&nothing, &status).contains(&warns("KnownHoles")));
}

/// A status in which a condition that was true is false for this reason.
fn fails(well: &CacheBusStatus, kind: &str, reason: &str, message: &str) -> CacheBusStatus {
    let mut status = well.clone();
    let condition = status
        .conditions
        .iter_mut()
        .find(|condition| condition.type_ == kind);
    let condition = condition.unwrap();
    "False".clone_into(&mut condition.status);
    reason.clone_into(&mut condition.reason);
    message.clone_into(&mut condition.message);
    status
}

#[test]
fn what_a_person_has_to_mend_is_told_anew_when_it_is_something_else() {
    let well = reported(&Scene::well());
    let rolling = fails(&well, kind::ROLLOUT_COMPLETE, "RollingOut", "1 of 6");
    let halted = fails(
        &well,
        kind::ROLLOUT_COMPLETE,
        "RolloutHalted",
        "1 of 6: for this",
    );
    let further = fails(
        &well,
        kind::ROLLOUT_COMPLETE,
        "RolloutHalted",
        "2 of 6: for this",
    );
    assert_eq!(reasons(&well, &rolling), [tells("RollingOut")]);
    assert_eq!(reasons(&rolling, &halted), [warns("RolloutHalted")]);
    assert_eq!(reasons(&halted, &further), []);
    assert_eq!(reasons(&halted, &rolling), []);
    let one = fails(
        &well,
        kind::VALID,
        "DirectiveRefused",
        "spec.config.bind: no",
    );
    let other = fails(
        &well,
        kind::VALID,
        "DirectiveRefused",
        "spec.config.port: no",
    );
    assert_eq!(reasons(&one, &other), [warns("DirectiveRefused")]);
    let (one, other) = (
        fails(&well, kind::READY, "A", ""),
        fails(&well, kind::READY, "Rejected", ""),
    );
    assert_eq!(reasons(&one, &other), []);
}

#[test]
fn users_and_settings_that_pods_are_yet_to_be_given_are_no_warning_until_the_bus_is_ready() {
    let well = reported(&Scene::well());
    let starting = fails(&well, kind::READY, "PodsNotReady", "");
    for (kind, reason) in [
        (kind::USERS_IN_SYNC, "UsersDiffer"),
        (kind::CONFIGURATION_IN_SYNC, "SettingsDiffer"),
    ] {
        let said = reasons(&starting, &fails(&starting, kind, reason, ""));
        assert_eq!(said, [tells(reason)]);
        assert_eq!(
            reasons(&well, &fails(&well, kind, reason, "")),
            [warns(reason)]
        );
    }
    let unfenced = fails(&starting, kind::REPLICATION_HEALTHY, "TooFewReplicas", "");
    assert_eq!(reasons(&starting, &unfenced), [warns("TooFewReplicas")]);
}

#[test]
fn replicas_that_are_on_their_way_after_a_planned_change_are_no_warning() {
    let well = reported(&Scene::well());
    for (reason, warning) in [("Switchover", false), ("Crash", true)] {
        let mut behind = fails(&well, kind::REPLICATION_HEALTHY, "ReplicasNotInSync", "");
        let since = &behind.conditions[0].last_transition_time;
        behind.last_failover = serde_json::from_value(json!({
            "from": "b-redis-0", "to": "b-redis-1", "reason": reason, "finishedAt": since,
        }))
        .unwrap();
        let said = reasons(&well, &behind);
        assert_eq!(
            said,
            [(warning, "ReplicasNotInSync".to_owned())],
            "{reason}"
        );
    }
}
