//! Buses that are paused, or hibernated.

use crate::scene::{Scene, follows, leads, primary};
use crate::status::{condition, is, reported};
use cachebus_core::events::between;
use cachebus_core::names::Component;
use cachebus_core::observed::Node;
use cachebus_core::plan::{Action, asleep, reason};
use cachebus_core::status::kind;
use std::collections::BTreeSet;

fn paused(mut scene: Scene) -> Scene {
    scene.bus.spec.paused = true;
    scene
}

fn hibernated(mut scene: Scene) -> Scene {
    scene.bus.spec.hibernated = true;
    scene
}

fn without(mut scene: Scene, component: Component) -> Scene {
    let nodes = match component {
        Component::Redis => &mut scene.observed.data,
        Component::Sentinel => &mut scene.observed.sentinels,
    };
    for node in nodes.values_mut() {
        *node = Node::default();
    }
    scene
}

/// A bus on which everything that can be ordered is due: users, a setting, a replica that follows another, a Sentinel.
fn astray() -> Scene {
    let mut drifted = follows("b-redis-2", 1);
    drifted
        .config
        .insert("maxmemory".to_owned(), "1".to_owned());
    let mut scene = Scene::well().node(1, drifted).sentinel(2, None);
    let node = scene.observed.data.get_mut("b-redis-2").unwrap();
    node.agent.as_mut().unwrap().acl_digest = None;
    scene
}

#[test]
fn a_paused_bus_is_given_no_order() {
    let kinds: BTreeSet<_> = astray()
        .actions()
        .iter()
        .map(std::mem::discriminant)
        .map(|kind| format!("{kind:?}"))
        .collect();
    assert!(kinds.len() > 2, "{kinds:?}");
    assert_eq!(paused(astray()).actions(), []);
    assert_eq!(paused(Scene::new("{}").sentinels_idle()).actions(), []);
}

#[test]
fn a_request_for_another_primary_is_not_kept_for_when_the_pause_ends() {
    let mut hibernated = Scene::well().asks("any");
    hibernated.bus.spec.hibernated = true;
    for (scene, why) in [
        (paused(Scene::well().asks("any")), "the bus is paused"),
        (hibernated, "the bus is hibernated"),
    ] {
        let answer = Action::Answer {
            asked: "any".to_owned(),
            refusal: Some(why.to_owned()),
        };
        assert_eq!(scene.actions(), [answer]);
    }
}

#[test]
fn the_record_and_the_labels_of_a_paused_bus_follow_its_sentinels() {
    let scene = paused(Scene::well().switched("b-redis-1"));
    assert_eq!(scene.record().primary.as_deref(), Some("b-redis-1"));
    assert_eq!(scene.routed().0.as_deref(), Some("b-redis-1"));
    let labels = scene.labels();
    assert!(
        labels.contains(&("b-redis-1".to_owned(), "primary")),
        "{labels:?}"
    );
}

#[test]
fn who_leads_without_a_majority_is_not_recorded_of_a_paused_bus() {
    let scene = Scene::new("{}")
        .recorded(primary("b-redis-0", 1))
        .sentinels_idle()
        .node(1, leads(5));
    assert!(matches!(scene.actions().first(), Some(Action::Record(_))));
    assert_eq!(paused(scene).actions(), []);
}

#[test]
fn a_paused_bus_says_so_and_is_as_ready_as_it_is() {
    let well = paused(Scene::well());
    is(&well, kind::PAUSED, "True", "Paused");
    is(&well, kind::READY, "True", "Ready");
    is(
        &paused(Scene::well().silent(2)),
        kind::READY,
        "False",
        "ReplicasNotInSync",
    );
    assert!(
        paused(Scene::well().gone(2))
            .reasons()
            .contains(&reason::POD_MISSING)
    );
    let unpaused = reported(&Scene::well());
    assert!(
        unpaused
            .conditions
            .iter()
            .all(|known| known.type_ != kind::PAUSED)
    );
}

#[test]
fn sentinels_go_to_sleep_before_the_data() {
    let scene = hibernated(Scene::well());
    let asleep = |scene: &Scene| asleep(&scene.bus, &scene.observed);
    assert_eq!(asleep(&Scene::well()), [].into());
    assert_eq!(asleep(&scene), [Component::Sentinel].into());
    let scene = without(scene, Component::Sentinel);
    assert_eq!(
        asleep(&scene),
        [Component::Redis, Component::Sentinel].into()
    );
    assert_eq!(scene.actions(), []);
    assert_eq!(scene.reasons(), [reason::STOPPING]);
    assert!(scene.plan().unsettled);
}

#[test]
fn a_bus_that_falls_asleep_says_so_and_one_that_sleeps_is_at_rest() {
    let falling = hibernated(Scene::well());
    is(&falling, kind::HIBERNATED, "False", "Stopping");
    let sleeping = without(without(falling, Component::Sentinel), Component::Redis);
    is(&sleeping, kind::HIBERNATED, "True", "Hibernated");
    is(&sleeping, kind::READY, "False", "Hibernated");
    is(&sleeping, kind::AVAILABLE, "False", "Hibernated");
    is(&sleeping, kind::ROLLOUT_COMPLETE, "Unknown", "Hibernated");
    let plan = sleeping.plan();
    assert!(plan.actions.is_empty() && plan.blocked.is_empty() && !plan.unsettled);
    let status = reported(&sleeping);
    assert_eq!(status.topology, Scene::well().observed.status.topology);
    let awake = reported(&Scene::well());
    let events = between(&awake, &status);
    assert!(events.iter().all(|event| !event.warning), "{events:?}");
    let ready = condition(&status, kind::READY);
    assert_eq!(ready.message, condition(&status, kind::AVAILABLE).message);
}
