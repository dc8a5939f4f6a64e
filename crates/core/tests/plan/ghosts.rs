//! Which Sentinels are gone for good, and who is told to count them no more.

use crate::scene::{Scene, fqdn};
use crate::status::condition;
use cachebus_core::observed::{Node, PodView};
use cachebus_core::plan::{Action, Plan, reason};
use cachebus_core::protocol::{KnownSentinel, MonitorOrder};
use cachebus_core::status::{kind, report};

const OLD: &str = "id-of-one-that-was";

fn ghost(host: &str, silent: bool) -> KnownSentinel {
    KnownSentinel {
        host: host.to_owned(),
        run_id: OLD.to_owned(),
        silent,
    }
}

/// These Sentinels count one more.
fn counts(mut scene: Scene, ordinals: &[u32], ghost: &KnownSentinel) -> Scene {
    for &ordinal in ordinals {
        let mut watch = scene.watch(ordinal, "b-redis-0", 0);
        watch.known.push(ghost.clone());
        scene = scene.sentinel(ordinal, Some(watch));
    }
    scene
}

/// Who is told to forget whom.
fn forgotten(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let orders = plan.actions.iter().filter_map(|action| match action {
        Action::Monitor {
            pod,
            order: MonitorOrder { forget, .. },
        } if !forget.is_empty() => Some((pod.clone(), forget.clone())),
        _ => None,
    });
    orders.collect()
}

#[test]
fn one_sentinel_at_a_time_forgets_one_that_is_gone() {
    let gone = ghost(&fqdn("b-sentinel-3"), true);
    let scene = counts(Scene::well(), &[0, 1, 2], &gone);
    let told = [("b-sentinel-0".to_owned(), vec![OLD.to_owned()])];
    assert_eq!(forgotten(&scene.plan()), told);
    // It finds its replicas first.
    let mut watch = scene.watch(0, "b-redis-0", 0);
    watch.replicas.clear();
    let finding = scene.clone().sentinel(0, Some(watch));
    assert_eq!(forgotten(&finding.plan()), []);
    let next = scene.sentinel(0, Some(finding.watch(0, "b-redis-0", 0)));
    assert_eq!(forgotten(&next.plan())[0].0, "b-sentinel-1");
}

#[test]
fn a_place_that_another_sentinel_has_taken_is_proof() {
    let gone = ghost(&fqdn("b-sentinel-1"), true);
    assert_eq!(
        forgotten(&counts(Scene::well(), &[2], &gone).plan()).len(),
        1
    );
}

#[test]
fn one_that_may_be_alive_is_counted_on() {
    // Not silent for long.
    let young = ghost(&fqdn("b-sentinel-3"), false);
    let scene = counts(Scene::well(), &[0], &young);
    assert_eq!(forgotten(&scene.plan()), []);
    assert_eq!(scene.reasons(), [reason::GHOSTS_KNOWN]);
    // Its pod is there and says nothing.
    let gone = ghost(&fqdn("b-sentinel-3"), true);
    let mut scene = counts(Scene::well(), &[0], &gone);
    let node = Node {
        pod: Some(PodView::default()),
        ..Node::default()
    };
    scene
        .observed
        .sentinels
        .insert("b-sentinel-3".to_owned(), node);
    assert_eq!(forgotten(&scene.plan()), []);
    // Its pod is away and comes back.
    let gone = ghost(&fqdn("b-sentinel-2"), true);
    let mut scene = counts(Scene::well(), &[0], &gone);
    scene
        .observed
        .sentinels
        .insert("b-sentinel-2".to_owned(), Node::default());
    assert_eq!(forgotten(&scene.plan()), []);
}

#[test]
fn nobody_forgets_while_sentinels_fail_over_or_disagree_or_are_no_majority() {
    let gone = ghost(&fqdn("b-sentinel-3"), true);
    let scene = counts(Scene::well(), &[0], &gone);
    for flaw in 0..3 {
        let mut watch = scene.watch(1, "b-redis-0", 0);
        match flaw {
            0 => watch.failing_over = true,
            1 => watch.down = true,
            _ => watch.host = fqdn("b-redis-1"),
        }
        let flawed = scene.clone().sentinel(1, Some(watch));
        assert_eq!(forgotten(&flawed.plan()), [], "{flaw}");
    }
    let mut silent = scene;
    for pod in ["b-sentinel-1", "b-sentinel-2"] {
        assert_eq!(forgotten(&silent.plan()).len(), 1);
        silent.observed.sentinels.get_mut(pod).unwrap().agent = None;
    }
    assert_eq!(forgotten(&silent.plan()), []);
}

#[test]
fn a_ghost_is_told_of_until_it_is_gone() {
    let gone = ghost(&fqdn("b-sentinel-3"), false);
    let scene = counts(Scene::well(), &[1], &gone);
    let desired = crate::scene::desired();
    let status = report(&scene.bus, &scene.observed, &scene.plan(), &desired);
    let quorum = condition(&status, kind::SENTINEL_QUORUM);
    assert_eq!(
        (quorum.status.as_str(), quorum.reason.as_str()),
        ("False", "GhostsKnown")
    );
    assert!(
        quorum.message.contains("b-sentinel-1 counts 1"),
        "{}",
        quorum.message
    );
}
