//! What the Sentinels are told, and what they are left to settle.

use crate::scene::{Scene, follows, fqdn, leads, primary, sealed};
use cachebus_core::plan::{Action, reason};
use cachebus_core::protocol::{Peer, SentinelStatus};

#[test]
fn a_sentinel_that_knows_nothing_is_told_and_no_other() {
    let scene = Scene::well().sentinel(1, None);
    assert_eq!(scene.monitors(), [("b-sentinel-1".to_owned(), None)]);
}

#[test]
fn nobody_is_told_of_a_primary_that_does_not_lead() {
    let scene = Scene::well()
        .sentinels_idle()
        .node(0, sealed(7, "b-redis-0", 1));
    assert_eq!(scene.monitors(), []);
}

#[test]
fn other_settings_are_set_again() {
    let scene = Scene::well();
    let mut watch = scene.watch(2, "b-redis-0", 0);
    watch.settings.down_after_ms += 1;
    let drifted = scene.clone().sentinel(2, Some(watch));
    assert_eq!(drifted.monitors(), [("b-sentinel-2".to_owned(), None)]);
    let mut watch = scene.watch(2, "b-redis-0", 0);
    watch.quorum = 1;
    assert_eq!(scene.sentinel(2, Some(watch)).monitors().len(), 1);
}

#[test]
fn sentinels_that_disagree_settle_it_by_their_epochs() {
    let scene = Scene::well().all_watch("b-redis-0", 3);
    let behind = scene
        .clone()
        .sentinel(1, Some(scene.watch(1, "b-redis-2", 2)));
    assert_eq!(behind.monitors(), []);
    assert!(behind.reasons().contains(&reason::SENTINEL_DISAGREES));
    let ahead = scene
        .clone()
        .sentinel(1, Some(scene.watch(1, "b-redis-2", 4)));
    assert_eq!(ahead.monitors(), []);
    assert!(ahead.plan().unsettled);
}

#[test]
fn sentinels_that_disagree_in_one_epoch_never_would_and_are_told_in_a_newer_one() {
    let scene = Scene::well().all_watch("b-redis-0", 4);
    let tied = scene
        .clone()
        .sentinel(1, Some(scene.watch(1, "b-redis-2", 4)));
    assert_eq!(
        tied.monitors(),
        [("b-sentinel-1".to_owned(), Some("b-redis-2".to_owned()))]
    );
    let [Action::Monitor { order, .. }] = &tied.actions()[..] else {
        panic!("{:?}", tied.actions());
    };
    assert_eq!(order.config_epoch, 5);
}

#[test]
fn no_sentinel_is_told_of_another_primary_while_any_fails_over() {
    let scene = Scene::well();
    for failing in [0, 1] {
        let tied = scene
            .clone()
            .sentinel(1, Some(scene.watch(1, "b-redis-2", 0)));
        let named = if failing == 1 {
            "b-redis-2"
        } else {
            "b-redis-0"
        };
        let mut watch = tied.watch(failing, named, 0);
        watch.failing_over = true;
        assert_eq!(tied.sentinel(failing, Some(watch)).monitors(), []);
    }
}

#[test]
fn sentinels_that_have_not_found_everybody_are_waited_for() {
    let scene = Scene::well();
    let mut watch = scene.watch(0, "b-redis-0", 0);
    watch.replicas.pop();
    watch.peers.remove(0);
    let unacquainted = scene.sentinel(0, Some(watch));
    let plan = unacquainted.plan();
    let [Action::Monitor { pod, order }] = plan.actions.as_slice() else {
        panic!("{:?}", plan.actions);
    };
    let stranger = Peer {
        pod: "b-sentinel-1".to_owned(),
        run_id: "id-of-b-sentinel-1".to_owned(),
    };
    assert_eq!(
        (pod.as_str(), &order.peers),
        ("b-sentinel-0", &vec![stranger])
    );
    assert!(plan.unsettled);
    assert_eq!(plan.blocked[0].reason, reason::SENTINEL_UNACQUAINTED);
    assert_eq!(
        plan.blocked[0].message,
        "b-sentinel-0 has not found b-redis-2, b-sentinel-1 yet"
    );
}

#[test]
fn a_sentinel_that_is_being_started_is_waited_for() {
    let mut scene = Scene::well();
    let node = scene.observed.sentinels.get_mut("b-sentinel-0").unwrap();
    let agent = node.agent.as_mut().unwrap();
    agent.node = cachebus_core::protocol::NodeStatus::Sentinel(SentinelStatus::default());
    assert_eq!(scene.reasons(), [reason::SENTINEL_STARTING]);
}

#[test]
fn hosts_of_others_are_nobodys_vote() {
    let mut scene = Scene::well().recorded(primary("b-redis-0", 1));
    for ordinal in 0..3 {
        let mut watch = scene.watch(ordinal, "b-redis-0", 9);
        watch.host = fqdn("c-redis-1");
        scene = scene.sentinel(ordinal, Some(watch));
    }
    assert!(scene.monitors().is_empty());
    assert!(scene.orders().is_empty());
    assert!(scene.reasons().contains(&reason::SENTINEL_DISAGREES));
}

#[test]
fn what_a_minority_names_that_outlived_the_others_is_overruled_before_those_are_told() {
    let scene = Scene::new("{}")
        .recorded(primary("b-redis-0", 2))
        .node(0, leads(2))
        .node(1, follows("b-redis-0", 2))
        .node(2, follows("b-redis-0", 2))
        .sentinels_idle();
    // The pod that led, and two Sentinels, were lost with their volumes.
    let watch = scene.watch(0, "b-redis-1", 7);
    let outlived = scene.sentinel(0, Some(watch));
    let told = |scene: &Scene| -> Vec<(String, Option<String>, u64)> {
        let orders = scene.actions().into_iter();
        let orders = orders.filter_map(|action| match action {
            Action::Monitor { pod, order } => Some((pod, order.instead_of, order.config_epoch)),
            _ => None,
        });
        orders.collect()
    };
    let by_mistake = Some("b-redis-1".to_owned());
    assert_eq!(
        told(&outlived),
        [("b-sentinel-0".to_owned(), by_mistake, 8)]
    );
    assert!(outlived.reasons().contains(&reason::SENTINEL_DISAGREES));

    let watch = outlived.watch(0, "b-redis-0", 8);
    let settled = outlived.clone().sentinel(0, Some(watch));
    let pods: Vec<String> = told(&settled).into_iter().map(|(pod, ..)| pod).collect();
    assert!(pods.contains(&"b-sentinel-1".to_owned()) && pods.contains(&"b-sentinel-2".to_owned()));

    // One more that watches may have decided with it.
    let watch = outlived.watch(1, "b-redis-0", 2);
    let two = outlived.sentinel(1, Some(watch));
    assert!(
        told(&two)
            .iter()
            .all(|(_, instead_of, _)| instead_of.is_none())
    );
}

#[test]
fn five_sentinels_need_three_of_a_mind() {
    let scene = Scene::new("{sentinel: {replicas: 5}}")
        .recorded(primary("b-redis-0", 1))
        .node(0, leads(1))
        .node(1, follows("b-redis-0", 1))
        .node(2, follows("b-redis-0", 1))
        .sentinels_idle();
    let name = |scene: Scene, ordinal| {
        let watch = scene.watch(ordinal, "b-redis-1", 1);
        scene.sentinel(ordinal, Some(watch))
    };
    let two = name(name(scene, 0), 1);
    assert!(
        !two.actions()
            .iter()
            .any(|action| matches!(action, Action::Record(_)))
    );
    assert_eq!(name(two, 2).record().primary.as_deref(), Some("b-redis-1"));
}
