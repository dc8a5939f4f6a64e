//! Live users and settings.

use crate::scene::{Scene, desired};
use crate::status::{condition, reported};
use cachebus_core::acl::AclFiles;
use cachebus_core::functions::refused;
use cachebus_core::plan::{Action, Desired, plan};
use cachebus_core::protocol::{
    Consumer, Consumers, ConsumersStatus, LibraryStatus, NodeStatus, RefusedSetting,
};
use cachebus_core::status::kind;

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

#[test]
fn a_setting_that_a_server_refuses_is_told_of_and_not_sent_again_and_again() {
    let mut scene = Scene::well();
    let node = scene.observed.data.get_mut("b-redis-1").unwrap();
    if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
        data.config.insert("maxmemory".to_owned(), "1".to_owned());
        let refused = RefusedSetting {
            value: "2147483648".to_owned(),
            why: "ERR too much".to_owned(),
            due: false,
        };
        data.refused_settings
            .insert("maxmemory".to_owned(), refused);
    }
    assert_eq!(scene.actions(), []);
    let status = reported(&scene);
    let told = condition(&status, "ConfigurationInSync");
    assert_eq!(told.reason, "SettingsDiffer");
    assert!(
        told.message.contains("b-redis-1 (maxmemory: ERR too much)"),
        "{}",
        told.message
    );
    // What people are told stays as it is while it is tried again.
    let node = scene.observed.data.get_mut("b-redis-1").unwrap();
    if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
        data.refused_settings.get_mut("maxmemory").unwrap().due = true;
    }
    assert_eq!(scene.actions().len(), 1);
    let status = reported(&scene);
    assert_eq!(
        condition(&status, "ConfigurationInSync").message,
        told.message
    );
    // Another value may be taken.
    let node = scene.observed.data.get_mut("b-redis-1").unwrap();
    if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
        let refused = data.refused_settings.get_mut("maxmemory").unwrap();
        (refused.value, refused.due) = ("1".to_owned(), false);
    }
    assert_eq!(scene.actions().len(), 1);
}

#[test]
fn the_library_of_the_primary_is_told_of_once_its_agent_has_looked() {
    let mut scene = Scene::well();
    let library = |scene: &mut Scene, pod: &str, library: LibraryStatus| {
        let node = scene.observed.data.get_mut(pod).unwrap();
        if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
            data.library = Some(library);
        }
    };
    let told = |scene: &Scene| {
        let status = reported(scene);
        let mut conditions = status.conditions.into_iter();
        conditions.find(|condition| condition.type_ == kind::FUNCTIONS_LOADED)
    };
    assert_eq!(told(&scene), None);
    let refused = LibraryStatus {
        version: None,
        refused: Some(refused("OOM", "full")),
    };
    library(&mut scene, "b-redis-1", refused.clone());
    assert_eq!(told(&scene), None, "it does not lead");
    library(&mut scene, "b-redis-0", refused);
    let condition = told(&scene).unwrap();
    assert_eq!(condition.status, "False");
    assert_eq!(condition.reason, "OutOfMemory");
    assert!(
        condition.message.contains("b-redis-0"),
        "{}",
        condition.message
    );
    let ready = reported(&scene)
        .conditions
        .into_iter()
        .find(|is| is.type_ == kind::READY);
    assert_eq!(ready.unwrap().status, "True");
    let served = LibraryStatus {
        version: Some("1.0.0".to_owned()),
        refused: None,
    };
    library(&mut scene, "b-redis-0", served);
    let condition = told(&scene).unwrap();
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_str()),
        ("True", "Loaded")
    );
}

#[test]
fn consumers_of_durable_channels_that_do_not_keep_up_are_told_of_once_their_agent_has_looked() {
    let mut scene = Scene::well();
    let look = |scene: &mut Scene, consumers: ConsumersStatus| {
        let node = scene.observed.data.get_mut("b-redis-0").unwrap();
        if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
            data.consumers = Some(consumers);
        }
    };
    let told = |scene: &Scene| {
        let status = reported(scene);
        let ready = condition(&status, kind::READY).status == "True";
        let mut conditions = status.conditions.into_iter();
        let told = conditions.find(|condition| condition.type_ == kind::EVENTS_CONSUMED);
        (ready, told.map(|told| (told.reason, told.message)))
    };
    let some = |number: usize| Consumers {
        number,
        first: ["a", "b"][..number.min(2)]
            .iter()
            .map(|&service| Consumer {
                channel: "task:done".to_owned(),
                service: service.to_owned(),
            })
            .collect(),
    };
    assert_eq!(told(&scene), (true, None));
    for (behind, lost, reason, named) in [
        (0, 0, "Consumed", "keeps up"),
        (
            1,
            0,
            "ConsumerBehind",
            "have not acknowledged it: a (task:done)",
        ),
        (0, 2, "EventsLost", "a (task:done), b (task:done)"),
        (
            7,
            1,
            "EventsLost",
            "a (task:done); an event is older than its channel keeps events, and is kept since these have not acknowledged it: a (task:done), b (task:done) and 5 more",
        ),
    ] {
        let consumers = ConsumersStatus {
            behind: some(behind),
            lost: some(lost),
        };
        look(&mut scene, consumers);
        let (ready, told) = told(&scene);
        let (is, message) = told.unwrap();
        assert_eq!((ready, is.as_str()), (true, reason));
        assert!(message.ends_with(named), "{message}");
    }
}
