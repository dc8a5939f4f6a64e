//! Volumes grow, or are given up one by one for others, and never the only copy of the data.

use crate::scene::{Scene, ago, leads, primary};
use crate::status::{condition, is, reported};
use cachebus_api::status::{Restart, Topology};
use cachebus_core::events::between;
use cachebus_core::names::Component;
use cachebus_core::observed::{ClaimTemplate, ClaimView, Home, SetView};
use cachebus_core::plan::{Action, Plan, reason, replacement_intended};
use cachebus_core::protocol::NodeStatus;
use cachebus_core::status::kind;

const MIB: u64 = 1 << 20;

/// A bus that is well, whose volumes and claim templates are as it asks.
fn stored(spec: &str) -> Scene {
    let well = Scene::well();
    let mut scene = Scene {
        bus: Scene::new(spec).bus,
        ..well
    }
    .templated();
    for (component, size) in [(Component::Redis, "8Gi"), (Component::Sentinel, "1Gi")] {
        let set = SetView {
            uid: format!("set-{component}"),
            claim: ClaimTemplate {
                size: size.to_owned(),
                class: scene.bus.spec.storage.storage_class_name.clone(),
            },
            terminating: false,
        };
        scene.observed.sets.insert(component, set);
    }
    let class = scene.bus.spec.storage.storage_class_name.clone();
    let observed = &mut scene.observed;
    for (nodes, bytes) in [
        (&mut observed.data, 8_192 * MIB),
        (&mut observed.sentinels, 1_024 * MIB),
    ] {
        for (pod, node) in nodes {
            node.claim = Some(ClaimView {
                uid: format!("claim-of-{pod}"),
                asked: Some(bytes),
                has: Some(bytes),
                class: class.clone().or_else(|| Some("default".to_owned())),
                ..ClaimView::default()
            });
        }
    }
    scene
}

impl Scene {
    fn claim(&mut self, pod: &str) -> &mut ClaimView {
        let observed = &mut self.observed;
        let node = observed.data.get_mut(pod);
        let node = node.or(observed.sentinels.get_mut(pod)).unwrap();
        node.claim.as_mut().unwrap()
    }

    /// The volume of this pod is smaller than is asked for.
    fn small(mut self, pod: &str, expandable: Option<bool>) -> Self {
        let claim = self.claim(pod);
        (claim.asked, claim.has) = (Some(MIB), Some(MIB));
        claim.expandable = expandable;
        self
    }

    /// The node of this pod is gone, with the volume on it.
    fn lost(mut self, pod: &str) -> Self {
        self.claim(pod).home = Home::Gone("worker".to_owned());
        self = self.broken(pod);
        let seen = self.pod(pod);
        (seen.ip, seen.node) = (None, None);
        self
    }

    fn replacing(self, pod: &str, uid: &str, seconds: i64) -> Self {
        let topology = self.observed.status.topology.clone().unwrap();
        self.recorded(Topology {
            restart: Some(Box::new(Restart {
                pod: pod.to_owned(),
                uid: uid.to_owned(),
                claim: Some(format!("claim-of-{pod}")),
                reason: "volume of 1048576 bytes, not 8Gi".to_owned(),
                generation: 1,
                revision: "new".to_owned(),
                since: ago(seconds),
            })),
            ..topology
        })
    }

    /// The restart that the plan records: pod and claim.
    fn given_up(&self) -> Option<(String, Option<String>)> {
        self.actions().into_iter().find_map(|action| match action {
            Action::Record(topology) => {
                let restart = topology.restart?;
                Some((restart.pod, restart.claim))
            }
            _ => None,
        })
    }
}

fn given_up(pod: &str) -> Option<(String, Option<String>)> {
    Some((pod.to_owned(), Some(format!("claim-of-{pod}"))))
}

fn told(scene: &Scene) -> (String, String) {
    let status = reported(scene);
    let found = condition(&status, kind::ROLLOUT_COMPLETE);
    (found.reason.clone(), found.message.clone())
}

#[test]
fn volumes_as_asked_for_are_left_alone() {
    for spec in ["{}", "{storage: {storageClassName: fast}}"] {
        assert_eq!(stored(spec).plan(), Plan::default());
    }
    // The cluster's default is another one by now, or the spec names none any more.
    let mut scene = stored("{}");
    scene.claim("b-redis-1").class = Some("other".to_owned());
    assert_eq!(scene.plan(), Plan::default());
}

#[test]
fn a_stateful_set_of_another_claim_template_is_made_anew() {
    let mut scene = stored("{storage: {size: 9Gi}}");
    let remake = Action::Remake {
        component: Component::Redis,
        uid: "set-redis".to_owned(),
    };
    let remakes = |scene: &Scene| -> Vec<Action> {
        let actions = scene.actions().into_iter();
        actions
            .filter(|action| matches!(action, Action::Remake { .. }))
            .collect()
    };
    assert_eq!(remakes(&scene), [remake]);
    scene
        .observed
        .sets
        .get_mut(&Component::Redis)
        .unwrap()
        .terminating = true;
    assert_eq!(remakes(&scene), []);
    let mut same = stored("{}");
    same.observed
        .sets
        .get_mut(&Component::Redis)
        .unwrap()
        .claim
        .size = "8192Mi".to_owned();
    assert_eq!(remakes(&same), []);
    let classes = remakes(&stored("{}")).len();
    let mut other = stored("{storage: {storageClassName: fast}}");
    for set in other.observed.sets.values_mut() {
        set.claim.class = None;
    }
    assert_eq!((classes, remakes(&other).len()), (0, 2));
}

#[test]
fn volumes_grow_all_at_once_where_their_class_lets_them() {
    let scene = stored("{}")
        .small("b-redis-0", Some(true))
        .small("b-redis-2", Some(true))
        .silent(1);
    let grow = |pod: &str| Action::Grow {
        pod: pod.to_owned(),
        claim: format!("claim-of-{pod}"),
        size: "8Gi".to_owned(),
    };
    assert_eq!(scene.actions(), [grow("b-redis-0"), grow("b-redis-2")]);

    let mut growing = stored("{}");
    growing.claim("b-redis-1").has = Some(MIB);
    assert_eq!(growing.actions(), []);
    assert!(!growing.plan().unsettled, "its end is an event");
    let grows = "volumes grow: b-redis-1 (1048576 of 8589934592 bytes)";
    assert_eq!(
        told(&growing),
        (reason::VOLUMES_GROWING.to_owned(), grows.to_owned())
    );
    growing.claim("b-redis-1").not_growing = Some("no space".to_owned());
    assert!(told(&growing).1.ends_with("bytes: no space)"));
}

#[test]
fn a_file_system_that_does_not_grow_by_itself_is_mounted_anew() {
    let mut scene = stored("{}");
    scene.claim("b-redis-1").has = Some(MIB);
    scene.claim("b-redis-1").file_system_pending = Some(ago(119));
    assert_eq!(scene.actions(), []);
    scene.claim("b-redis-1").file_system_pending = Some(ago(121));
    assert_eq!(scene.given_up(), Some(("b-redis-1".to_owned(), None)));
}

#[test]
fn where_they_cannot_grow_they_are_given_up_one_by_one_the_primarys_last() {
    let all = ["b-redis-0", "b-redis-1", "b-redis-2"];
    let no = Some(false);
    let scene = all
        .iter()
        .fold(stored("{}"), |scene, pod| scene.small(pod, no));
    assert_eq!(scene.given_up(), given_up("b-redis-1"));
    assert_eq!(
        scene.clone().small("b-sentinel-1", no).given_up(),
        given_up("b-sentinel-1")
    );
    let ordered = scene.replacing("b-redis-1", "1", 0);
    let expected = Action::Restart {
        pod: "b-redis-1".to_owned(),
        uid: "1".to_owned(),
        claim: Some("claim-of-b-redis-1".to_owned()),
    };
    assert_eq!(ordered.actions(), [expected]);
    let [event] = between(&Scene::well().observed.status, &ordered.observed.status)
        .try_into()
        .unwrap();
    assert_eq!(event.reason, "ReplacingVolume");
    let last = stored("{}").small("b-redis-0", no);
    assert_eq!(last.record().handover.unwrap().reason, "Rollout");
}

#[test]
fn another_class_brings_other_volumes() {
    let mut scene = stored("{storage: {storageClassName: fast}}");
    scene.claim("b-redis-2").class = Some("slow".to_owned());
    scene.claim("b-redis-2").expandable = Some(true);
    assert_eq!(scene.given_up(), given_up("b-redis-2"));
    let owed = &reported(&scene).pending_restart[0];
    assert_eq!(owed.reason, "volume of the class slow, not fast");
}

#[test]
fn no_volume_is_given_up_while_another_pod_is_not_a_whole_copy() {
    let scene = stored("{}").small("b-redis-1", Some(false));
    assert_eq!(scene.given_up(), given_up("b-redis-1"));
    let mut partial = scene.clone();
    let node = partial.observed.data.get_mut("b-redis-2").unwrap();
    if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
        data.marker.as_mut().unwrap().complete = false;
    }
    let held = [
        partial,
        scene.clone().silent(2),
        scene.clone().gone(2),
        scene.clone().broken("b-redis-2"),
        // It does not come up: its volume may be the reason, and may be what another one lacks.
        scene.clone().broken("b-redis-1").silent(2),
        scene.clone().sentinel(0, None),
    ];
    for held in held {
        assert_eq!(held.given_up(), None, "{:?}", told(&held));
    }
    assert_eq!(
        scene.clone().broken("b-redis-1").given_up(),
        given_up("b-redis-1")
    );
}

#[test]
fn a_broken_pod_is_restarted_before_its_volume_is_given_up() {
    let scene = stored("{}")
        .small("b-redis-1", Some(false))
        .older("b-redis-1")
        .broken("b-redis-1")
        .broken("b-redis-2");
    assert_eq!(scene.given_up(), Some(("b-redis-1".to_owned(), None)));
}

#[test]
fn the_next_volume_waits_until_new_ones_are_made_as_asked() {
    let mut scene = stored("{}").small("b-redis-1", Some(false));
    scene.observed.sets.clear();
    assert_eq!(scene.given_up(), None);
    assert_eq!(told(&scene).0, reason::ROLLING_OUT);
}

#[test]
fn a_claim_that_is_being_deleted_goes_with_its_pod_whatever_is_asked_by_now() {
    let mut scene = stored("{}").replacing("b-redis-1", "1", 0);
    scene.claim("b-redis-1").terminating = true;
    let expected = Action::Restart {
        pod: "b-redis-1".to_owned(),
        uid: "1".to_owned(),
        claim: None,
    };
    assert_eq!(scene.actions(), [expected]);
    // The store of claims lags behind that of pods.
    let behind = scene.replacing("b-redis-1", "before", 0);
    assert_eq!(behind.actions(), []);
    assert_eq!(told(&behind).0, reason::ROLLING_OUT);
    // A person deletes a claim and has the pod to decide.
    let mut by_hand = stored("{}");
    by_hand.claim("b-redis-1").terminating = true;
    assert_eq!(by_hand.actions(), []);
}

#[test]
fn a_pod_that_somebody_else_deleted_meanwhile_still_gets_its_volume() {
    let scene = stored("{}")
        .small("b-redis-1", Some(false))
        .replacing("b-redis-1", "before", 5);
    assert_eq!(scene.given_up(), given_up("b-redis-1"));
}

#[test]
fn a_volume_that_is_no_other_after_all_is_given_up_once() {
    let mut scene =
        stored("{}")
            .small("b-redis-1", Some(false))
            .replacing("b-redis-1", "before", 5);
    scene.claim("b-redis-1").uid = "another".to_owned();
    assert_eq!(scene.actions(), []);
    assert_eq!(told(&scene).0, reason::ROLLOUT_HALTED);
}

#[test]
fn the_only_copy_is_kept_and_told() {
    let alone = || {
        let mut scene = Scene::new("{replicas: 0}")
            .recorded(primary("b-redis-0", 1))
            .node(0, leads(1))
            .all_watch("b-redis-0", 0)
            .templated();
        scene.pod("b-redis-0").role = Some("primary".to_owned());
        let rest = stored("{}").observed;
        scene.observed.sets = rest.sets;
        scene.observed.data.get_mut("b-redis-0").unwrap().claim =
            rest.data["b-redis-0"].claim.clone();
        scene
    };
    for scene in [
        alone().small("b-redis-0", Some(false)),
        alone().lost("b-redis-0"),
    ] {
        let kept = |action: &Action| !matches!(action, Action::Restart { .. } | Action::Record(_));
        assert!(scene.actions().iter().all(kept), "{:?}", scene.actions());
        assert!(
            scene.reasons().contains(&reason::ONLY_COPY),
            "{:?}",
            scene.plan().blocked
        );
        is(&scene, kind::ROLLOUT_COMPLETE, "False", reason::ONLY_COPY);
    }
    let grown = alone().small("b-redis-0", Some(true));
    assert!(matches!(grown.actions()[..], [Action::Grow { .. }]));
}

#[test]
fn volumes_lost_with_their_node_wait_for_nobody() {
    let scene = stored("{}")
        .lost("b-redis-1")
        .lost("b-sentinel-0")
        .silent(2);
    assert_eq!(scene.given_up(), given_up("b-redis-1"));
    let recorded = scene.clone().recorded(scene.record());
    let restart = Action::Restart {
        pod: "b-redis-1".to_owned(),
        uid: "1".to_owned(),
        claim: Some("claim-of-b-redis-1".to_owned()),
    };
    assert_eq!(recorded.actions(), [restart]);
    // The first one is back somewhere, and fills its volume.
    let next = stored("{}")
        .replacing("b-redis-1", "before", 5)
        .silent(1)
        .lost("b-sentinel-0");
    assert_eq!(next.given_up(), given_up("b-sentinel-0"));
}

#[test]
fn a_lost_volume_is_kept_while_nobody_leads() {
    let scene = stored("{}").lost("b-redis-1").silent(0);
    assert_eq!(scene.given_up(), None);
    let blocked = scene.plan().blocked;
    assert!(
        blocked
            .iter()
            .any(|blocked| blocked.reason == reason::VOLUME_LOST
                && blocked
                    .message
                    .contains("b-redis-1 (its volume is on the node worker, which is gone)")),
        "{blocked:?}"
    );
}

#[test]
fn lost_sentinels_come_back_though_nobody_leads_and_data_pods_do_not() {
    let scene = stored("{}")
        .lost("b-sentinel-1")
        .lost("b-sentinel-2")
        .lost("b-redis-0");
    assert_eq!(scene.given_up(), given_up("b-sentinel-1"));
    let handing_over = scene.clone().recorded(Topology {
        target: Some(crate::scene::target("b-redis-1", 2, false)),
        ..primary("b-redis-0", 1)
    });
    assert_eq!(handing_over.given_up(), None);
    let data = stored("{}").lost("b-redis-1").lost("b-redis-0");
    assert_eq!(data.given_up(), None);
}

#[test]
fn what_cannot_be_told_is_said() {
    let mut scene = stored("{}").small("b-redis-1", None);
    assert_eq!(scene.actions(), []);
    assert_eq!(told(&scene).0, reason::VOLUME_UNKNOWN);
    scene = stored("{}").broken("b-redis-1");
    scene.claim("b-redis-1").home = Home::Untold("may not list nodes".to_owned());
    assert_eq!(scene.given_up(), None);
    assert!(
        told(&scene).1.contains("b-redis-1 (may not list nodes)"),
        "{:?}",
        told(&scene)
    );
}

#[test]
fn giving_a_volume_up_rests_on_the_record() {
    let topology = stored("{}")
        .replacing("b-redis-1", "1", 0)
        .observed
        .status
        .topology
        .unwrap();
    let intended = |pod, claim| replacement_intended(&topology, pod, claim);
    assert!(intended("b-redis-1", "claim-of-b-redis-1"));
    assert!(!intended("b-redis-1", "another"));
    assert!(!intended("b-redis-2", "claim-of-b-redis-1"));
    for primary in [Some("b-redis-1".to_owned()), None] {
        let moved = Topology {
            primary,
            ..topology.clone()
        };
        assert!(!replacement_intended(
            &moved,
            "b-redis-1",
            "claim-of-b-redis-1"
        ));
    }
}
