//! Live users and settings.

use crate::scene::{Scene, desired};
use cachebus_core::acl::AclFiles;
use cachebus_core::plan::{Action, Desired, plan};
use cachebus_core::protocol::NodeStatus;

#[test]
fn users_are_set_on_each_pod_whose_server_runs_with_others() {
    let mut scene = Scene::well();
    let desired = Desired {
        acl: AclFiles {
            redis: "user a on\n".to_owned(),
            sentinel: String::new(),
        },
        ..desired()
    };
    let stopped = scene.observed.data.get_mut("b-redis-2").unwrap();
    if let NodeStatus::Redis(data) = &mut stopped.agent.as_mut().unwrap().node {
        data.phase = cachebus_core::protocol::Phase::Loading;
    }
    let set: Vec<String> = plan(&scene.bus, &scene.observed, &desired)
        .actions
        .into_iter()
        .filter_map(|action| match action {
            Action::SetUsers { pod, order } => {
                assert_eq!(order.text, "user a on\n");
                Some(pod)
            }
            _ => None,
        })
        .collect();
    assert_eq!(set, ["b-redis-0", "b-redis-1"]);
}

#[test]
fn drifted_settings_are_set_again_where_they_can_be() {
    let mut scene = Scene::well();
    let node = scene.observed.data.get_mut("b-redis-1").unwrap();
    if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
        data.config.insert("maxmemory".to_owned(), "1".to_owned());
        data.config.insert("tcp-backlog".to_owned(), "3".to_owned());
    }
    let actions = scene.actions();
    let [Action::Configure { pod, order }] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(pod, "b-redis-1");
    let names: Vec<&String> = order.settings.keys().collect();
    assert_eq!(names, ["maxmemory"]);
}
