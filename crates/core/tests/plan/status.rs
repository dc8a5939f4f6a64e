//! What is reported.

use crate::scene::{
    EXPIRES, NOW_S, Scene, ago, desired, empty, follows, holds, leads, primary, sealed,
};
use cachebus_api::CacheBusStatus;
use cachebus_core::bus::Violation;
use cachebus_core::names::Component;
use cachebus_core::observed::ClaimView;
use cachebus_core::plan::{Action, Blocked, Plan, reason};
use cachebus_core::protocol::{DataStatus, NodeStatus};
use cachebus_core::status::{invalid, kind, report};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

pub fn reported(scene: &Scene) -> CacheBusStatus {
    report(&scene.bus, &scene.observed, &scene.plan(), &desired())
}

pub fn condition<'a>(status: &'a CacheBusStatus, wanted: &str) -> &'a Condition {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == wanted)
        .unwrap()
}

pub fn is(scene: &Scene, wanted: &str, status: &str, reason: &str) {
    let reported = reported(scene);
    let found = condition(&reported, wanted);
    assert_eq!(
        (found.status.as_str(), found.reason.as_str()),
        (status, reason),
        "{}",
        found.message
    );
}

#[test]
fn a_bus_at_rest_is_ready_in_every_respect() {
    let scene = Scene::well();
    let status = reported(&scene);
    let bad: Vec<_> = status
        .conditions
        .iter()
        .filter(|condition| {
            condition.status != "True" && condition.type_ != kind::ENGINE_UP_TO_DATE
        })
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.replicas.as_ref().unwrap().summary, "2/2");
    assert_eq!(status.sentinels.as_ref().unwrap().summary, "3/3");
    assert!(
        status
            .engine_version
            .as_ref()
            .unwrap()
            .starts_with("Redis ")
    );
    assert_eq!(status.certificate_expires, Some(ago(NOW_S - EXPIRES)));
    assert_eq!(status.topology, scene.observed.status.topology);
}

#[test]
fn a_status_is_written_once() {
    let mut scene = Scene::well();
    let first = reported(&scene);
    scene.observed.status = first.clone();
    scene.observed.now_ms += 3_600_000;
    assert_eq!(reported(&scene), first);
}

#[test]
fn a_condition_changes_its_time_when_it_changes_its_status() {
    let mut scene = Scene::well();
    scene.observed.status.conditions = reported(&scene).conditions;
    scene.observed.now_ms += 60_000;
    let broken = reported(&scene.clone().silent(1));
    assert_eq!(
        condition(&broken, kind::REPLICATION_HEALTHY).last_transition_time,
        ago(-60)
    );
    assert_eq!(
        condition(&broken, kind::AVAILABLE).last_transition_time,
        ago(0)
    );
    assert_eq!(
        condition(&broken, kind::READY).last_transition_time,
        ago(-60)
    );
}

#[test]
fn ready_gives_the_first_reason_why_it_is_not() {
    let scene = Scene::well().silent(2);
    is(&scene, kind::AVAILABLE, "True", "PrimaryLeads");
    is(
        &scene,
        kind::REPLICATION_HEALTHY,
        "False",
        "ReplicasNotInSync",
    );
    is(&scene, kind::READY, "False", "ReplicasNotInSync");
    let message = &condition(&reported(&scene), kind::READY).message.clone();
    assert_eq!(message, "b-redis-2 does not answer");
    assert_eq!(reported(&scene).replicas.unwrap().summary, "1/2");
}

#[test]
fn a_bus_without_a_primary_says_what_it_waits_for() {
    let scene = Scene::new("{}")
        .recorded(primary("b-redis-0", 3))
        .sentinels_idle();
    let scene = scene.node(1, empty());
    is(&scene, kind::AVAILABLE, "False", "PodUnreachable");
    let waiting = scene.clone().recorded(cachebus_api::status::Topology {
        choosing_since: Some(ago(3)),
        ..primary("b-redis-0", 3)
    });
    is(
        &waiting,
        kind::AVAILABLE,
        "False",
        reason::WAITING_FOR_COPIES,
    );
    is(&waiting, kind::REPLICATION_HEALTHY, "False", "NoPrimary");
}

#[test]
fn a_primary_that_is_fenced_is_not_available_and_says_why() {
    let fenced = cachebus_core::protocol::DataStatus {
        fenced: Some(cachebus_core::protocol::Fenced::Isolated),
        ..leads(1)
    };
    let scene = Scene::well().node(0, fenced);
    is(&scene, kind::AVAILABLE, "False", "PrimaryFenced");
    is(&scene, kind::READY, "False", "PrimaryFenced");
}

#[test]
fn a_primary_without_the_replicas_that_writes_need_is_not_available() {
    let scene = Scene::well().node(0, leads(1));
    is(&scene, kind::AVAILABLE, "False", "TooFewReplicas");
}

#[test]
fn a_replica_that_the_primary_does_not_hear_is_not_well() {
    let mut scene = Scene::well();
    let node = scene.observed.data.get_mut("b-redis-0").unwrap();
    if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
        data.replication.as_mut().unwrap().replicas[0].lag = 60;
    }
    is(&scene, kind::AVAILABLE, "True", "PrimaryLeads");
    is(
        &scene,
        kind::REPLICATION_HEALTHY,
        "False",
        "ReplicasNotInSync",
    );
}

#[test]
fn a_replica_that_synchronises_leads_or_holds_is_not_well() {
    let syncing = DataStatus {
        replication: None,
        handover: None,
        ..follows("b-redis-0", 1)
    };
    for (data, flaw) in [
        (syncing, "b-redis-1 is not in sync"),
        (leads(1), "b-redis-1 leads still, or already"),
        (holds(), "b-redis-1 waits to be told whom to follow"),
        (follows("b-redis-2", 1), "b-redis-1 follows another"),
    ] {
        let status = reported(&Scene::well().node(1, data));
        assert_eq!(condition(&status, kind::REPLICATION_HEALTHY).message, flaw);
    }
}

#[test]
fn sentinels_must_agree_and_know_one_another() {
    let scene = Scene::well();
    is(
        &scene.clone().sentinel(0, None),
        kind::SENTINEL_QUORUM,
        "False",
        "NotMonitoring",
    );
    let mut watch = scene.watch(0, "b-redis-0", 0);
    watch.peers.clear();
    let alone = scene.clone().sentinel(0, Some(watch));
    is(
        &alone,
        kind::SENTINEL_QUORUM,
        "False",
        "SentinelUnacquainted",
    );
    assert_eq!(reported(&alone).sentinels.unwrap().summary, "2/3");
    let other = scene.watch(0, "b-redis-1", 0);
    is(
        &scene.clone().sentinel(0, Some(other)),
        kind::SENTINEL_QUORUM,
        "False",
        "SentinelDisagrees",
    );
    let mut down = scene.watch(0, "b-redis-0", 0);
    down.down = true;
    is(
        &scene.sentinel(0, Some(down)),
        kind::SENTINEL_QUORUM,
        "False",
        "SentinelSeesPrimaryDown",
    );
}

#[test]
fn two_of_three_sentinels_are_a_quorum_and_one_is_none() {
    let mut scene = Scene::well();
    scene
        .observed
        .sentinels
        .get_mut("b-sentinel-2")
        .unwrap()
        .agent = None;
    is(&scene, kind::SENTINEL_QUORUM, "True", "SentinelsAgree");
    scene
        .observed
        .sentinels
        .get_mut("b-sentinel-1")
        .unwrap()
        .agent = None;
    is(&scene, kind::SENTINEL_QUORUM, "False", "TooFewSentinels");
}

#[test]
fn users_settings_and_certificates_are_compared() {
    let mut scene = Scene::well();
    let agent = |scene: &mut Scene, pod: &str| {
        let node = scene.observed.data.get_mut(pod).unwrap();
        node.agent.clone().unwrap()
    };
    let mut other = agent(&mut scene, "b-redis-1");
    other.acl_digest = None;
    other.certificate = None;
    if let NodeStatus::Redis(data) = &mut other.node {
        data.config.insert("maxmemory".to_owned(), "1".to_owned());
    }
    scene.observed.data.get_mut("b-redis-1").unwrap().agent = Some(other);
    is(&scene, kind::USERS_IN_SYNC, "False", "UsersDiffer");
    is(
        &scene,
        kind::CONFIGURATION_IN_SYNC,
        "False",
        "SettingsDiffer",
    );
    is(&scene, kind::TLS_READY, "False", "OtherCertificate");
    let status = reported(&scene);
    assert!(
        condition(&status, kind::CONFIGURATION_IN_SYNC)
            .message
            .contains("b-redis-1 (maxmemory)")
    );
}

#[test]
fn nobody_knows_where_nobody_answers() {
    let scene = Scene::new("{}");
    is(&scene, kind::USERS_IN_SYNC, "Unknown", "NothingReported");
    is(
        &scene,
        kind::CONFIGURATION_IN_SYNC,
        "Unknown",
        "NothingReported",
    );
    is(
        &scene,
        kind::ENGINE_UP_TO_DATE,
        "Unknown",
        "NothingReported",
    );
}

#[test]
fn a_restart_is_owed_for_what_only_a_restart_brings_in() {
    let mut scene = Scene::well();
    let revisions = &mut scene.observed.revisions;
    revisions.insert(Component::Redis, "new".to_owned());
    let node = scene.observed.data.get_mut("b-redis-0").unwrap();
    node.pod.as_mut().unwrap().revision = Some("old".to_owned());
    node.claim = Some(ClaimView {
        asked: Some(1),
        expandable: Some(false),
        ..ClaimView::default()
    });
    if let Some(agent) = &mut node.agent {
        agent.engine.as_mut().unwrap().version = "6.2.1".to_owned();
        if let NodeStatus::Redis(data) = &mut agent.node {
            data.config.insert("tcp-backlog".to_owned(), "3".to_owned());
        }
    }
    let status = reported(&scene);
    let [owed] = status.pending_restart.as_slice() else {
        panic!("{:?}", status.pending_restart);
    };
    assert_eq!(owed.pod, "b-redis-0");
    for part in [
        "older pod template",
        "Redis 6.2.1",
        "tcp-backlog",
        "volume of 1 bytes",
    ] {
        assert!(owed.reason.contains(part), "{}", owed.reason);
    }
    is(&scene, kind::ROLLOUT_COMPLETE, "False", reason::ROLLING_OUT);
    is(&scene, kind::READY, "False", reason::ROLLING_OUT);
    is(&scene, kind::ENGINE_UP_TO_DATE, "False", "KnownHoles");
}

#[test]
fn pods_that_are_not_there_and_names_that_are_taken_keep_a_rollout_from_its_end() {
    let mut scene = Scene::well();
    let node = scene.observed.sentinels.get_mut("b-sentinel-0").unwrap();
    node.pod.as_mut().unwrap().ready = false;
    is(&scene, kind::ROLLOUT_COMPLETE, "False", "PodsNotReady");
    let plan = Plan {
        blocked: vec![Blocked {
            reason: reason::NAME_CONFLICT,
            message: "Service b-primary belongs to another".to_owned(),
        }],
        ..Plan::default()
    };
    let scene = Scene::well();
    let status = report(&scene.bus, &scene.observed, &plan, &desired());
    assert_eq!(
        condition(&status, kind::READY).reason,
        reason::NAME_CONFLICT
    );
}

#[test]
fn a_record_of_the_plan_is_reported() {
    let scene = Scene::well().all_watch("b-redis-1", 1);
    let Some(Action::Record(record)) = scene.plan().actions.first().cloned() else {
        panic!("{:?}", scene.plan());
    };
    assert_eq!(reported(&scene).topology, Some(record));
}

#[test]
fn every_service_has_its_binding() {
    let scene = Scene::new("{services: [{name: dashboard}, {name: agent_designer}]}");
    let bindings = reported(&scene).bindings;
    let names: Vec<_> = bindings
        .iter()
        .map(|binding| (binding.service.as_str(), binding.name.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("dashboard", "b-binding-dashboard"),
            ("agent_designer", "b-binding-agent-designer")
        ]
    );
}

#[test]
fn a_spec_that_cannot_be_carried_out_says_where_and_keeps_the_rest() {
    let scene = Scene::well();
    let mut before = reported(&scene);
    before.observed_generation = Some(1);
    let violations = ["spec.config.bind", "spec.memory.max"].map(|path| Violation {
        path: path.to_owned(),
        reason: "Refused",
        message: "no".to_owned(),
    });
    let now_ms = scene.observed.now_ms + 5_000;
    let status = invalid(&before, before.clone(), 2, &violations, now_ms);
    let valid = condition(&status, kind::VALID);
    assert_eq!(valid.message, "spec.config.bind: no; spec.memory.max: no");
    assert_eq!(valid.last_transition_time, ago(-5));
    assert_eq!(condition(&status, kind::READY).reason, "Invalid");
    assert_eq!(
        condition(&status, kind::AVAILABLE),
        condition(&before, kind::AVAILABLE)
    );
    assert_eq!(status.observed_generation, Some(2));
    assert_eq!(status.topology, before.topology);
    let again = invalid(&status, status.clone(), 2, &violations, now_ms + 60_000);
    assert_eq!(again, status);
    let first = invalid(
        &CacheBusStatus::default(),
        CacheBusStatus::default(),
        1,
        &violations,
        now_ms,
    );
    assert_eq!(first.conditions.len(), 2);
}

#[test]
fn a_sealed_primary_is_none() {
    let scene = Scene::well().node(0, sealed(7, "b-redis-0", 1));
    is(
        &scene,
        kind::AVAILABLE,
        "False",
        reason::PRIMARY_UNREACHABLE,
    );
}
