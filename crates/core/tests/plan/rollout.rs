//! Pods that run with something older are restarted, one by one.

use crate::scene::{Scene, ago, follows, leads, leads_as, primary, target};
use crate::status::{condition, is, reported};
use cachebus_api::status::{Electorate, Restart, Topology};
use cachebus_core::engine::capabilities;
use cachebus_core::events::between;
use cachebus_core::plan::{Action, reason, restart_intended};
use cachebus_core::protocol::{DataStatus, NodeStatus};
use cachebus_core::status::kind;

const TEMPLATE: &str = "made from an older pod template";

/// A bus that is well, whose pods named here are made from an older template.
fn owing(pods: &[&str]) -> Scene {
    let scene = Scene::well().templated();
    pods.iter().fold(scene, |scene, pod| scene.older(pod))
}

fn restart(pod: &str, uid: &str, seconds: i64) -> Restart {
    Restart {
        pod: pod.to_owned(),
        uid: uid.to_owned(),
        claim: None,
        reason: TEMPLATE.to_owned(),
        generation: 1,
        revision: "new".to_owned(),
        since: ago(seconds),
    }
}

/// A restart has been recorded, of the pod with this UID.
fn restarting(scene: Scene, pod: &str, uid: &str, seconds: i64) -> Scene {
    let topology = scene.observed.status.topology.clone().unwrap();
    scene.recorded(Topology {
        restart: Some(Box::new(restart(pod, uid, seconds))),
        ..topology
    })
}

/// The pod whose restart the plan records.
fn chosen(scene: &Scene) -> String {
    scene.record().restart.unwrap().pod
}

/// What is told of the rollout.
fn told(scene: &Scene) -> (String, String) {
    let status = reported(scene);
    let found = condition(&status, kind::ROLLOUT_COMPLETE);
    (found.reason.clone(), found.message.clone())
}

fn rolling(message: &str) -> (String, String) {
    (reason::ROLLING_OUT.to_owned(), message.to_owned())
}

fn halted(message: &str) -> (String, String) {
    (reason::ROLLOUT_HALTED.to_owned(), message.to_owned())
}

#[test]
fn sentinels_go_first_then_replicas_then_the_lead_and_the_old_primary_last() {
    let all = [
        "b-redis-0",
        "b-redis-1",
        "b-redis-2",
        "b-sentinel-0",
        "b-sentinel-1",
    ];
    assert_eq!(chosen(&owing(&all)), "b-sentinel-0");
    assert_eq!(chosen(&owing(&all[..3])), "b-redis-1");
    let last = owing(&["b-redis-0"]);
    let handover = last.record().handover.unwrap();
    assert_eq!(
        (handover.reason.as_str(), handover.to.as_deref()),
        ("Rollout", Some("b-redis-1"))
    );
    assert_eq!(
        told(&last),
        rolling("5 of 6 pods run what the spec asks for: the lead goes to b-redis-1")
    );
    let follower = owing(&["b-redis-0"])
        .recorded(primary("b-redis-1", 2))
        .node(0, follows("b-redis-1", 2))
        .node(1, leads_as("b-redis-1", 2))
        .node(2, follows("b-redis-1", 2))
        .all_watch("b-redis-1", 1);
    assert_eq!(follower.record().restart.unwrap().pod, "b-redis-0");
}

#[test]
fn a_restart_is_recorded_before_the_pod_is_deleted() {
    let scene = owing(&["b-redis-2"]);
    let recorded = scene.record().restart.unwrap();
    assert_eq!(*recorded, restart("b-redis-2", "2", 0));
    let ordered = restarting(scene.clone(), "b-redis-2", "2", 0);
    let deletion = Action::Restart {
        pod: "b-redis-2".to_owned(),
        uid: "2".to_owned(),
        claim: None,
    };
    assert_eq!(ordered.actions(), [deletion]);
    let message = "5 of 6 pods run what the spec asks for: b-redis-2 is being restarted";
    assert_eq!(told(&ordered), rolling(message));
    let [event] = between(&scene.observed.status, &ordered.observed.status)
        .try_into()
        .unwrap();
    assert_eq!(
        event.note,
        "b-redis-2 is restarted: made from an older pod template"
    );
}

#[test]
fn a_deletion_rests_on_the_record() {
    let recorded = Topology {
        restart: Some(Box::new(restart("b-redis-2", "2", 0))),
        ..primary("b-redis-0", 1)
    };
    let intended = |topology: &Topology, pod, uid| restart_intended(topology, pod, uid, false);
    assert!(intended(&recorded, "b-redis-2", "2"));
    assert!(!intended(&recorded, "b-redis-2", "3"));
    assert!(!intended(&recorded, "b-redis-1", "2"));
    let now_primary = Topology {
        primary: Some("b-redis-2".to_owned()),
        ..recorded.clone()
    };
    assert!(!intended(&now_primary, "b-redis-2", "2"));
    assert!(restart_intended(&now_primary, "b-redis-2", "2", true));
    let handing_over = Scene::well()
        .recorded(recorded)
        .handing_over(None, "Switchover", 0);
    let topology = handing_over.observed.status.topology.unwrap();
    assert!(!intended(&topology, "b-redis-2", "2"));
}

#[test]
fn the_next_one_waits_until_the_last_one_is_well() {
    let scene = restarting(owing(&["b-redis-2"]), "b-redis-1", "before", 5);
    assert_eq!(chosen(&scene), "b-redis-2");

    let mut going = scene.clone();
    going.pod("b-redis-1").uid = "before".to_owned();
    going.pod("b-redis-1").terminating = true;
    let gone = scene.clone().gone(1);
    let starting = scene.clone().silent(1);
    let syncing = scene.clone().node(
        1,
        DataStatus {
            replication: None,
            ..follows("b-redis-0", 1)
        },
    );
    let mut without_users = scene.clone();
    let node = without_users.observed.data.get_mut("b-redis-1").unwrap();
    node.agent.as_mut().unwrap().acl_digest = None;
    let mut unknown = scene.watch(0, "b-redis-0", 0);
    unknown
        .replicas
        .retain(|host| !host.starts_with("b-redis-1"));
    let unknown = scene.clone().sentinel(0, Some(unknown));
    for held in [going, gone, starting, syncing, without_users, unknown] {
        let changes = held
            .actions()
            .into_iter()
            .any(|action| action.changes_topology(&held.observed));
        assert!(!changes, "{:?}", held.actions());
        assert_eq!(told(&held).0, reason::ROLLING_OUT);
    }
}

#[test]
fn a_sentinel_that_came_back_must_know_everybody() {
    let scene = restarting(owing(&["b-redis-1"]), "b-sentinel-0", "before", 5);
    let mut alone = scene.watch(0, "b-redis-0", 0);
    alone.peers.clear();
    let unacquainted = scene.clone().sentinel(0, Some(alone));
    assert_eq!(unacquainted.record_of_restart(), None);
    assert_eq!(scene.clone().sentinel(0, None).record_of_restart(), None);
    assert_eq!(chosen(&scene), "b-redis-1");
}

#[test]
fn a_rollout_that_is_over_is_forgotten_and_told() {
    let over = restarting(Scene::well().templated(), "b-redis-1", "before", 5);
    let record = over.record();
    assert_eq!(record.restart, None);
    is(&over, kind::ROLLOUT_COMPLETE, "True", "RolledOut");
    let rest = over.recorded(record);
    assert_eq!(rest.plan(), cachebus_core::plan::Plan::default());
}

#[test]
fn nothing_begins_while_another_pod_is_unwell() {
    let scene = owing(&["b-redis-1"]).silent(2);
    assert_eq!(scene.record_of_restart(), None);
    assert_eq!(
        told(&scene),
        halted("5 of 6 pods run what the spec asks for: b-redis-2 does not answer")
    );
    let mut sentinel = owing(&["b-redis-1"]);
    sentinel.pod("b-sentinel-2").ready = false;
    assert_eq!(sentinel.record_of_restart(), None);
    let lead = owing(&["b-redis-0"]).silent(2);
    assert_eq!(lead.actions(), []);
}

#[test]
fn a_recorded_restart_is_held_back_and_dropped_like_one_that_is_not() {
    let held = restarting(owing(&["b-redis-1"]).silent(2), "b-redis-1", "1", 200);
    assert_eq!(held.actions(), []);
    assert_eq!(told(&held).0, reason::ROLLOUT_HALTED);
    let withdrawn = restarting(Scene::well().templated(), "b-redis-1", "1", 1);
    assert_eq!(withdrawn.record().restart, None);
    let leads_now = restarting(owing(&["b-redis-0"]), "b-redis-0", "0", 1);
    assert!(leads_now.record().handover.is_some());
}

#[test]
fn what_a_restart_does_not_bring_in_is_told_and_not_tried_again() {
    let mut scene = owing(&["b-redis-1"]);
    let stubborn = restarting(scene.clone(), "b-redis-1", "before", 5);
    assert_eq!(stubborn.actions(), []);
    assert_eq!(
        told(&stubborn),
        halted(
            "5 of 6 pods run what the spec asks for: b-redis-1 was restarted, and yet: made from an older pod template"
        )
    );
    scene.bus.generation = 2;
    let changed = restarting(scene, "b-redis-1", "before", 5);
    assert_eq!(chosen(&changed), "b-redis-1");
}

#[test]
fn a_pod_that_a_bad_template_broke_goes_first_when_that_is_mended() {
    let bad = restarting(
        Scene::well()
            .templated()
            .older("b-redis-2")
            .broken("b-redis-1"),
        "b-redis-1",
        "before",
        5,
    );
    assert_eq!(bad.actions(), []);
    assert_eq!(
        told(&bad),
        halted(
            "5 of 6 pods run what the spec asks for: b-redis-1 was restarted and is not ready: container redis: ErrImagePull"
        )
    );
    let mut mended = bad.older("b-redis-1");
    mended.pod("b-redis-2").revision = Some("new".to_owned());
    let topology = mended.observed.status.topology.as_mut().unwrap();
    topology.restart.as_mut().unwrap().revision = "old".to_owned();
    assert_eq!(chosen(&mended), "b-redis-1");
    let elsewhere = owing(&["b-redis-2", "b-sentinel-0"])
        .broken("b-redis-2")
        .silent(1);
    assert_eq!(chosen(&elsewhere), "b-redis-2", "it is missed by nobody");
}

#[test]
fn a_broken_pod_goes_before_a_recorded_one_that_waits_for_it() {
    let broken = |scene: Scene| scene.older("b-sentinel-1").broken("b-sentinel-1");
    let not_begun = restarting(owing(&["b-redis-2"]), "b-redis-2", "2", 5);
    let withdrawn = restarting(
        Scene::well().templated().silent(2),
        "b-redis-2",
        "before",
        5,
    );
    let mut changed = restarting(owing(&["b-redis-2"]).silent(2), "b-redis-2", "before", 5);
    changed.bus.generation = 2;
    for scene in [not_begun, withdrawn, changed] {
        assert_ne!(scene.record_of_restart().as_deref(), Some("b-sentinel-1"));
        assert_eq!(chosen(&broken(scene)), "b-sentinel-1");
    }
    let again = restarting(owing(&["b-redis-2"]), "b-redis-2", "before", 5);
    assert_eq!(broken(again).record_of_restart(), None, "it was of no use");
}

#[test]
fn a_broken_pod_is_left_alone_where_a_restart_brings_nothing() {
    let scene = Scene::well().templated().broken("b-redis-1");
    assert_eq!(scene.record_of_restart(), None);
    is(&scene, kind::ROLLOUT_COMPLETE, "False", "PodsNotReady");
}

#[test]
fn a_template_that_is_being_taken_up_is_waited_for() {
    let mut scene = Scene::well();
    let node = scene.observed.data.get_mut("b-redis-1").unwrap();
    if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
        data.config.insert("tcp-backlog".to_owned(), "3".to_owned());
    }
    assert_eq!(scene.actions(), []);
    assert!(scene.plan().unsettled);
    assert_eq!(chosen(&scene.templated()), "b-redis-1");
}

#[test]
fn a_primary_without_replicas_is_restarted_itself() {
    let scene = Scene::new("{replicas: 0}")
        .recorded(primary("b-redis-0", 1))
        .node(0, leads(1))
        .all_watch("b-redis-0", 0)
        .templated()
        .older("b-redis-0");
    assert_eq!(
        scene
            .clone()
            .older("b-sentinel-2")
            .record()
            .restart
            .unwrap()
            .pod,
        "b-sentinel-2"
    );
    assert_eq!(chosen(&scene), "b-redis-0");
    let recorded = scene.clone().recorded(scene.record());
    let restarts = |action: &Action| matches!(action, Action::Restart { .. });
    assert!(recorded.actions().iter().any(restarts));
}

#[test]
fn a_lead_that_could_not_be_handed_over_halts_and_is_tried_again() {
    let failed = owing(&["b-redis-0"]).handing_over(Some("b-redis-1"), "Rollout", 30);
    let failed = failed.clone().recorded(failed.record());
    assert_eq!(failed.actions(), []);
    assert_eq!(told(&failed).0, reason::ROLLOUT_HALTED);
    let mut later = failed;
    later.observed.now_ms += 60_000;
    let later = later.clone().recorded(later.record());
    assert!(later.record().handover.is_some());
}

#[test]
fn a_replica_of_an_older_engine_that_cannot_follow_the_new_primary_is_rolled() {
    let unlinked = DataStatus {
        replication: None,
        ..follows("b-redis-1", 2)
    };
    let release = format!("{}.99", Scene::well().bus.spec.engine.version);
    let scene = owing(&["b-redis-0", "b-redis-2"])
        .recorded(primary("b-redis-1", 2))
        .node(0, unlinked.clone())
        .node(1, leads_as("b-redis-1", 2))
        .node(2, unlinked)
        .all_watch("b-redis-1", 1);
    assert_eq!(
        scene.clone().record_of_restart(),
        None,
        "of the same engine"
    );
    let upgraded = scene
        .runs("b-redis-0", "7.0.15")
        .runs("b-redis-2", "7.0.15");
    assert_eq!(chosen(&upgraded), "b-redis-0");
    let not_yet = upgraded.runs("b-redis-1", "7.0.15");
    assert_ne!(release, "7.0.15");
    assert_eq!(not_yet.record_of_restart(), None, "the primary is as old");
}

#[test]
fn what_is_sent_to_all_is_what_the_oldest_engine_understands() {
    let of = |scene: &Scene| scene.observed.oldest_engine(&scene.bus).version;
    let scene = Scene::well().templated();
    let wanted = scene.bus.engine.version;
    assert_eq!(of(&scene), wanted);
    assert_eq!(of(&scene.clone().runs("b-redis-1", "7.2.4")), "7.2");
    assert_eq!(of(&scene.clone().runs("b-redis-1", "99.1.0")), wanted);
    let silent = scene.clone().silent(1);
    assert_eq!(of(&silent), wanted, "it was made from the wanted template");
    assert_eq!(of(&silent.older("b-redis-1")), "7.0");
    let mut going = scene.silent(1).older("b-redis-1");
    going.pod("b-redis-1").terminating = true;
    assert_eq!(of(&going), wanted, "it never starts a server again");
}

#[test]
fn a_directive_that_the_oldest_engine_lacks_is_not_asked_for_yet() {
    let mut scene =
        Scene::new("{engine: {version: '7.4'}, config: {set-max-listpack-entries: '64'}}");
    let name = "set-max-listpack-entries";
    assert!(cachebus_core::config::settings(&scene.bus).contains_key(name));
    let redis = cachebus_api::engine::EngineKind::Redis;
    scene.bus = scene.bus.for_engine(capabilities(redis, "7.0").unwrap());
    assert!(!cachebus_core::config::settings(&scene.bus).contains_key(name));
}

/// Nobody has come up with this template, and it is mended.
fn all_broken(scene: Scene) -> Scene {
    let pods: Vec<String> = scene.observed.data.keys().cloned().collect();
    let sentinels: Vec<String> = scene.observed.sentinels.keys().cloned().collect();
    let scene = scene.templated();
    pods.iter()
        .chain(&sentinels)
        .fold(scene, |scene, pod| scene.older(pod).broken(pod))
}

/// The pods that are restarted one after another, each of which comes up.
fn coming_up(mut scene: Scene) -> Vec<String> {
    let mut restarted = Vec::new();
    while let Some(pod) = scene.record_of_restart() {
        scene = scene.clone().recorded(scene.record());
        let deletion = Action::Restart {
            pod: pod.clone(),
            uid: scene.pod(&pod).uid.clone(),
            claim: None,
        };
        assert_eq!(scene.actions(), [deletion]);
        let seen = scene.pod(&pod);
        seen.uid = format!("another of {pod}");
        seen.revision = Some("new".to_owned());
        (seen.ready, seen.trouble) = (true, None);
        restarted.push(pod);
    }
    restarted
}

#[test]
fn pods_that_a_bad_template_broke_come_up_though_nobody_leads() {
    let sentinels = ["b-sentinel-0", "b-sentinel-1", "b-sentinel-2"];
    let first_boot = all_broken(Scene::new("{}"));
    let data = ["b-redis-0", "b-redis-1", "b-redis-2"];
    assert_eq!(coming_up(first_boot), [sentinels, data].concat());
    // The copy that had all that was acknowledged comes first.
    let later = all_broken(Scene::new("{}").recorded(primary("b-redis-1", 2)));
    let data = ["b-redis-1", "b-redis-0", "b-redis-2"];
    assert_eq!(coming_up(later), [sentinels, data].concat());
    let alone = all_broken(Scene::new("{replicas: 0}").recorded(primary("b-redis-0", 1)));
    assert_eq!(coming_up(alone), [&sentinels[..], &data[1..2]].concat());
}

#[test]
fn a_majority_of_sentinels_comes_up_beside_a_primary_that_died() {
    let scene = owing(&["b-sentinel-0", "b-sentinel-1", "b-redis-2"])
        .broken("b-sentinel-0")
        .broken("b-sentinel-1")
        .silent(0);
    assert_eq!(coming_up(scene.clone()), ["b-sentinel-0", "b-sentinel-1"]);
    let message = "3 of 6 pods run what the spec asks for: b-sentinel-0 is being restarted (made from an older pod template)";
    assert_eq!(told(&scene), rolling(message));
}

#[test]
fn while_nobody_leads_no_other_pod_goes_and_none_twice_for_the_same() {
    let works = owing(&["b-sentinel-0", "b-redis-1"]).silent(0);
    assert_eq!(works.record_of_restart(), None);
    let current = Scene::well().templated().broken("b-sentinel-0").silent(0);
    assert_eq!(current.record_of_restart(), None);
    let stubborn = all_broken(Scene::new("{}").recorded(primary("b-redis-0", 1)));
    let stubborn = restarting(stubborn, "b-redis-1", "before", 5);
    assert_eq!(stubborn.record_of_restart(), None);
    assert_eq!(told(&stubborn).0, reason::ROLLOUT_HALTED);
    let aimed = all_broken(Scene::new("{}")).recorded(Topology {
        target: Some(target("b-redis-1", 2, false)),
        ..primary("b-redis-0", 1)
    });
    assert_eq!(aimed.record_of_restart(), None);
}

#[test]
fn a_sentinel_that_cannot_join_for_its_template_is_replaced_when_that_is_mended() {
    let mut scene = Scene::well();
    scene.bus.spec.sentinel.replicas = 4;
    let topology = scene.observed.status.topology.as_mut().unwrap();
    topology.sentinels = Some(Electorate {
        members: 3,
        pods: 4,
    });
    scene.bus = scene.bus.of_record(scene.observed.status.topology.as_ref());
    let young = scene.observed.sentinels["b-sentinel-2"].clone();
    let sentinels = &mut scene.observed.sentinels;
    sentinels.insert("b-sentinel-3".to_owned(), young);
    let scene = scene.all_watch("b-redis-0", 0).templated();
    let broken = scene.broken("b-sentinel-3");
    assert_eq!(broken.record_of_restart(), None);
    assert_eq!(chosen(&broken.older("b-sentinel-3")), "b-sentinel-3");
}

#[test]
fn a_primary_that_leads_stays_whatever_kubelet_says_of_it() {
    let scene = owing(&["b-redis-0"]);
    let leader = scene.observed.data["b-redis-0"].agent.clone();
    let mut scene = restarting(scene.broken("b-redis-0"), "b-redis-0", "0", 5);
    scene.observed.data.get_mut("b-redis-0").unwrap().agent = leader;
    let restarts = |action: &Action| matches!(action, Action::Restart { .. });
    assert!(
        !scene.actions().iter().any(restarts),
        "{:?}",
        scene.actions()
    );
}
