//! Pods that lag behind what they mount are looked after at once, and once.

use crate::scene::{Scene, desired};
use cachebus_core::plan::{Action, plan};
use cachebus_core::protocol::NodeStatus;

/// The pods that the plan has kubelet look after, and for what.
fn refreshed(scene: &Scene) -> Vec<(String, String)> {
    let actions = plan(&scene.bus, &scene.observed, &desired()).actions;
    let refreshed = actions.into_iter().filter_map(|action| match action {
        Action::Refresh { pod, awaited } => Some((pod, awaited)),
        _ => None,
    });
    refreshed.collect()
}

fn counts(scene: &mut Scene, pod: &str, sentinels: Option<u32>) {
    let node = scene.observed.data.get_mut(pod).unwrap();
    if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
        data.electorate = sentinels;
    }
}

#[test]
fn who_counts_another_number_of_sentinels_is_refreshed_once() {
    let mut scene = Scene::well();
    assert_eq!(refreshed(&scene), []);
    counts(&mut scene, "b-redis-1", Some(2));
    let asked = refreshed(&scene);
    let [(pod, awaited)] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(pod, "b-redis-1");
    // Kubelet has been asked: it is waited for.
    scene.pod("b-redis-1").awaits = Some(awaited.clone());
    assert_eq!(refreshed(&scene), []);
    // Another change, another note.
    scene.bus.electorate.members += 1;
    let pods: Vec<String> = refreshed(&scene).into_iter().map(|(pod, _)| pod).collect();
    assert!(pods.contains(&"b-redis-1".to_owned()), "{pods:?}");
}

#[test]
fn who_shows_another_certificate_is_refreshed_and_a_sentinel_is_not() {
    let mut scene = Scene::well();
    let observed = &mut scene.observed;
    for (nodes, pod) in [
        (&mut observed.data, "b-redis-2"),
        (&mut observed.sentinels, "b-sentinel-0"),
    ] {
        let node = nodes.get_mut(pod).unwrap();
        node.agent.as_mut().unwrap().certificate = Some("abad1dea".to_owned());
    }
    let pods: Vec<String> = refreshed(&scene).into_iter().map(|(pod, _)| pod).collect();
    assert_eq!(pods, ["b-redis-2"]);
}

#[test]
fn who_does_not_say_or_is_going_is_left_alone() {
    let mut scene = Scene::well();
    counts(&mut scene, "b-redis-1", None);
    counts(&mut scene, "b-redis-2", Some(2));
    scene.pod("b-redis-2").terminating = true;
    assert_eq!(refreshed(&scene), []);
}
