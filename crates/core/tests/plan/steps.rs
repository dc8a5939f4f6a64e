//! From nothing to a bus at rest, one step a pass.

use crate::scene::{
    Scene, ago, empty, follows, fqdn, holds, leads, marker, primary, sealed, target,
};
use cachebus_api::status::Topology;
use cachebus_core::plan::{Action, intended, reason};
use cachebus_core::protocol::{DataStatus, Phase, TopologyOrder};

fn pair(pod: &str, primary: &str) -> (String, String) {
    (pod.to_owned(), primary.to_owned())
}

#[test]
fn a_bus_at_rest_has_nothing_to_do() {
    let scene = Scene::well();
    let plan = scene.plan();
    assert_eq!(plan, cachebus_core::plan::Plan::default());
}

#[test]
fn a_first_boot_waits_for_the_first_report() {
    let scene = Scene::new("{}");
    assert_eq!(scene.actions(), []);
    assert_eq!(scene.reasons()[0], reason::WAITING_FOR_COPIES);
    assert!(scene.plan().unsettled);
}

#[test]
fn when_all_are_empty_the_first_is_recorded_and_nothing_else_done() {
    let scene = Scene::new("{}")
        .node(0, empty())
        .node(1, empty())
        .node(2, empty())
        .sentinels_idle();
    assert_eq!(scene.chosen(), ("b-redis-0".to_owned(), true));
    assert_eq!(scene.record().target.unwrap().epoch, 1);
}

#[test]
fn the_target_is_ordered_to_lead_and_nobody_else_is_told_anything() {
    let scene = Scene::new("{}")
        .recorded(Topology {
            target: Some(target("b-redis-0", 1, true)),
            ..Topology::default()
        })
        .node(0, empty())
        .node(1, empty())
        .sentinels_idle();
    let actions = scene.actions();
    let [Action::Order { pod, order }] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(pod, "b-redis-0");
    assert_eq!(order.primary, "b-redis-0");
    assert_eq!(order.epoch, 1);
    assert!(order.allow_empty);
}

#[test]
fn a_target_that_leads_is_recorded_as_primary() {
    let scene = Scene::new("{}")
        .recorded(Topology {
            target: Some(target("b-redis-0", 1, true)),
            ..Topology::default()
        })
        .node(0, leads(1))
        .node(1, empty())
        .sentinels_idle();
    let record = scene.record();
    assert_eq!(record.primary.as_deref(), Some("b-redis-0"));
    assert_eq!((record.epoch, record.target), (1, None));
    assert_eq!(record.since, Some(ago(0)));
}

#[test]
fn a_target_that_led_before_its_order_is_ordered_all_the_same() {
    let scene = Scene::new("{}")
        .recorded(Topology {
            epoch: 2,
            primary: Some("b-redis-1".to_owned()),
            target: Some(target("b-redis-0", 3, false)),
            ..Topology::default()
        })
        .node(0, leads(1))
        .sentinels_idle();
    assert_eq!(scene.orders(), [pair("b-redis-0", "b-redis-0")]);
}

#[test]
fn the_others_follow_and_sentinels_hear_of_the_primary_once_they_are_linked() {
    let mut since = primary("b-redis-0", 1);
    since.since = Some(ago(2));
    let booted = Scene::new("{}")
        .recorded(since)
        .node(0, leads(1))
        .node(1, empty())
        .node(2, holds())
        .sentinels_idle();
    assert_eq!(
        booted.orders(),
        [
            pair("b-redis-1", "b-redis-0"),
            pair("b-redis-2", "b-redis-0")
        ]
    );
    assert_eq!(booted.monitors(), []);
    assert!(booted.reasons().contains(&reason::WAITING_FOR_REPLICAS));

    let linked = booted
        .clone()
        .node(1, follows("b-redis-0", 1))
        .node(2, follows("b-redis-0", 1));
    assert_eq!(linked.orders(), []);
    assert_eq!(linked.monitors().len(), 3);

    let mut late = booted;
    late.observed.status.topology.as_mut().unwrap().since = Some(ago(10));
    assert_eq!(late.monitors().len(), 3);
}

#[test]
fn a_pod_with_an_order_of_its_own_epoch_for_another_primary_gets_a_newer_epoch() {
    let scene = Scene::well().node(1, sealed(7, "b-redis-2", 1));
    assert_eq!(scene.record().epoch, 2);
    assert_eq!(scene.record().primary.as_deref(), Some("b-redis-0"));
    assert_eq!(scene.record().since, Some(ago(3_600)));
}

#[test]
fn a_replica_that_sentinels_brought_is_told_the_epoch_of_its_data() {
    let scene = Scene::well().node(1, follows("b-redis-0", 0));
    assert_eq!(scene.orders(), [pair("b-redis-1", "b-redis-0")]);
    let acting: Vec<bool> = scene
        .actions()
        .iter()
        .map(|action| action.changes_topology(&scene.observed))
        .collect();
    assert_eq!(acting, [false]);
}

#[test]
fn a_replica_of_another_is_moved_unless_sentinels_are_at_it() {
    let stray = DataStatus {
        phase: Phase::Following("b-redis-1".to_owned()),
        ..follows("b-redis-0", 1)
    };
    let strayed = Scene::well().node(2, stray);
    assert_eq!(strayed.orders(), [pair("b-redis-2", "b-redis-0")]);
    let mut watch = strayed.watch(0, "b-redis-0", 0);
    watch.failing_over = true;
    let moving = strayed.sentinel(0, Some(watch));
    assert_eq!(moving.orders(), []);
    assert!(moving.reasons().contains(&reason::FAILOVER_RUNNING));
}

#[test]
fn a_pod_that_does_not_report_is_named_with_its_trouble() {
    let mut scene = Scene::well().silent(2);
    let node = scene.observed.data.get_mut("b-redis-2").unwrap();
    node.pod.as_mut().unwrap().trouble = Some("CrashLoopBackOff".to_owned());
    let plan = scene.plan();
    assert_eq!(plan.actions, []);
    assert_eq!(
        plan.blocked[0].message,
        "b-redis-2 does not answer: CrashLoopBackOff"
    );
    assert!(!plan.unsettled, "the cluster will say when that changes");
    assert_eq!(
        Scene::well().gone(2).reasons(),
        [reason::POD_MISSING],
        "and of a pod that is not there"
    );
}

#[test]
fn a_pod_of_a_bus_of_the_same_name_is_nobody() {
    let mut scene = Scene::new("{}")
        .node(0, leads(9))
        .node(1, empty())
        .node(2, empty())
        .sentinels_idle();
    let node = scene.observed.data.get_mut("b-redis-0").unwrap();
    node.agent.as_mut().unwrap().uid = "another".to_owned();
    assert!(scene.reasons().contains(&reason::FOREIGN_POD));
    let record = scene.record();
    assert_eq!(record.primary, None);
    assert_eq!(record.choosing_since, Some(ago(0)));
}

#[test]
fn an_order_is_intended_while_the_record_asks_for_it() {
    let order = |pod: &str, epoch, allow_empty| TopologyOrder {
        uid: String::new(),
        primary: pod.to_owned(),
        epoch,
        allow_empty,
        instead_of: None,
    };
    let settled = primary("b-redis-0", 3);
    assert!(intended(&settled, &order("b-redis-0", 3, false)));
    assert!(!intended(&settled, &order("b-redis-0", 3, true)));
    assert!(!intended(&settled, &order("b-redis-0", 2, false)));
    assert!(!intended(&settled, &order("b-redis-1", 3, false)));
    let changing = Topology {
        target: Some(target("b-redis-1", 4, false)),
        ..settled
    };
    assert!(intended(&changing, &order("b-redis-1", 4, true)));
    assert!(!intended(&changing, &order("b-redis-0", 3, false)));
}

#[test]
fn labels_say_what_is_recorded() {
    let scene = Scene::well().recorded(primary("b-redis-1", 2));
    let scene = scene.all_watch("b-redis-1", 1).node(
        1,
        DataStatus {
            marker: Some(marker("b-redis-1", 2)),
            ..leads(2)
        },
    );
    assert_eq!(
        scene.labels(),
        [
            ("b-redis-0".to_owned(), "replica"),
            ("b-redis-1".to_owned(), "primary")
        ]
    );
}

#[test]
fn labels_follow_in_the_pass_that_records_a_switch_and_after_the_record() {
    let scene = Scene::well().switched("b-redis-1");
    assert_eq!(scene.record().primary.as_deref(), Some("b-redis-1"));
    assert!(matches!(scene.plan().actions[0], Action::Record(_)));
    assert_eq!(
        scene.labels(),
        [
            ("b-redis-0".to_owned(), "replica"),
            ("b-redis-1".to_owned(), "primary")
        ]
    );
}

#[test]
fn no_label_names_a_pod_that_is_only_intended() {
    let scene = Scene::new("{}")
        .node(0, empty())
        .node(1, empty())
        .node(2, empty())
        .sentinels_idle();
    assert!(scene.record().target.is_some());
    assert_eq!(scene.labels(), []);
}

#[test]
fn phases_that_name_a_host_count_like_those_that_name_a_pod() {
    let by_host = DataStatus {
        phase: Phase::Following(fqdn("b-redis-0")),
        ..follows("b-redis-0", 1)
    };
    assert_eq!(Scene::well().node(1, by_host).plan().actions, []);
}
