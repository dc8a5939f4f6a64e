//! Which copy becomes the primary where Sentinels do not say.

use crate::scene::{Scene, ago, empty, follows, leads, marker, primary, sealed, target};
use cachebus_api::status::Topology;
use cachebus_core::plan::reason;
use cachebus_core::protocol::{DataStatus, Marker, Phase};

pub fn restarted() -> Scene {
    Scene::new("{}")
        .recorded(primary("b-redis-0", 3))
        .sentinels_idle()
}

pub fn waiting_for(scene: Scene, seconds: i64) -> Scene {
    let topology = scene.observed.status.topology.clone().unwrap_or_default();
    scene.recorded(Topology {
        choosing_since: Some(ago(seconds)),
        ..topology
    })
}

#[test]
fn missing_copies_are_waited_for_from_the_first_report_on() {
    let scene = restarted().node(1, sealed(7, "b-redis-0", 3));
    assert_eq!(scene.record().choosing_since, Some(ago(0)));
    assert_eq!(scene.record().target, None);

    let waits = waiting_for(scene.clone(), 29);
    assert_eq!(waits.actions(), []);
    let blocked = &waits.plan().blocked[0];
    assert_eq!(blocked.reason, reason::WAITING_FOR_COPIES);
    assert!(blocked.message.contains("b-redis-0, b-redis-2"));

    assert_eq!(waiting_for(scene, 30).chosen().0, "b-redis-1");
}

#[test]
fn a_bus_that_shrinks_waits_for_the_pod_that_led_it_too() {
    let mut scene = waiting_for(restarted(), 20)
        .recorded(Topology {
            choosing_since: Some(ago(20)),
            ..primary("b-redis-2", 3)
        })
        .node(0, sealed(7, "b-redis-2", 3))
        .node(1, sealed(7, "b-redis-2", 3))
        .silent(2);
    scene.bus.spec.replicas = 1;
    assert_eq!(scene.actions(), []);
    let blocked = &scene.plan().blocked[0];
    assert_eq!(blocked.reason, reason::WAITING_FOR_COPIES);
    assert!(blocked.message.contains("b-redis-2"), "{}", blocked.message);
}

#[test]
fn one_missed_look_counts_nobody_out() {
    let mut missed = waiting_for(restarted(), 400)
        .node(1, sealed(7, "b-redis-0", 3))
        .node(2, sealed(7, "b-redis-0", 3));
    let silent = |scene: &mut Scene, millis| {
        scene.observed.data.get_mut("b-redis-0").unwrap().silent_ms = millis;
    };
    silent(&mut missed, 29_999);
    assert_eq!(missed.actions(), []);
    assert_eq!(missed.reasons()[0], reason::WAITING_FOR_COPIES);
    let message = missed.plan().blocked.remove(0).message;
    assert!(message.contains("b-redis-0"), "{message}");
    let starting = DataStatus {
        phase: Phase::Down,
        keys: None,
        ..sealed(0, "b-redis-0", 3)
    };
    assert_eq!(missed.clone().node(0, starting).actions(), []);

    let mut gone_for_long = missed.clone();
    silent(&mut gone_for_long, 30_000);
    assert_eq!(gone_for_long.chosen().0, "b-redis-1");
    let mut in_trouble = missed.clone();
    let node = in_trouble.observed.data.get_mut("b-redis-0").unwrap();
    node.pod.as_mut().unwrap().trouble = Some("CrashLoopBackOff".to_owned());
    assert_eq!(in_trouble.chosen().0, "b-redis-1");
    assert_eq!(missed.gone(0).chosen().0, "b-redis-1");
}

fn b_redis_1_is_chosen() -> Scene {
    restarted()
        .recorded(Topology {
            target: Some(target("b-redis-1", 4, false)),
            ..primary("b-redis-0", 3)
        })
        .node(1, sealed(7, "b-redis-0", 3))
        .node(2, sealed(9, "b-redis-0", 3))
}

#[test]
fn a_newer_copy_that_reports_before_the_chosen_one_leads_is_chosen_instead() {
    let chosen = b_redis_1_is_chosen();
    assert_eq!(
        chosen.orders(),
        [("b-redis-1".to_owned(), "b-redis-1".to_owned())],
        "more keys are no newer copy"
    );
    let late = chosen.clone().node(0, sealed(7, "b-redis-0", 3));
    let again = late.record().target.unwrap();
    assert_eq!((again.pod.as_str(), again.epoch), ("b-redis-0", 5));
    assert_eq!(again.superseded, ["b-redis-1"]);

    let reading = DataStatus {
        phase: Phase::Loading,
        keys: None,
        ..sealed(0, "b-redis-0", 3)
    };
    assert_eq!(late.node(0, reading).orders(), [], "however long it reads");
    let too_late = chosen.node(1, leads(4)).node(0, sealed(7, "b-redis-0", 3));
    assert_eq!(too_late.record().primary.as_deref(), Some("b-redis-1"));
}

#[test]
fn who_was_to_lead_before_hears_of_it_before_another_leads() {
    let late = b_redis_1_is_chosen().node(0, sealed(7, "b-redis-0", 3));
    let again = late.clone().recorded(late.record());
    let told = [("b-redis-1".to_owned(), "b-redis-0".to_owned())];
    assert_eq!(again.orders(), told);
    let silent = again.clone().silent(1);
    assert_eq!(silent.orders(), []);
    assert_eq!(silent.reasons()[0], reason::TARGET_UNREACHABLE);

    let knows = DataStatus {
        marker: Some(Marker {
            fence: 5,
            ..marker("b-redis-0", 3)
        }),
        ..sealed(7, "b-redis-0", 3)
    };
    let leads = [("b-redis-0".to_owned(), "b-redis-0".to_owned())];
    assert_eq!(again.clone().node(1, knows).orders(), leads);
    assert_eq!(again.gone(1).orders(), leads);
}

#[test]
fn the_wait_begins_anew_when_all_are_gone_again() {
    let scene = waiting_for(restarted(), 400);
    assert_eq!(scene.record().choosing_since, None);
}

#[test]
fn nobody_is_waited_for_when_all_have_reported() {
    let scene = restarted()
        .node(0, sealed(5, "b-redis-0", 3))
        .node(1, sealed(9, "b-redis-0", 3))
        .node(2, sealed(5, "b-redis-0", 3));
    assert_eq!(scene.chosen(), ("b-redis-0".to_owned(), false));
    assert_eq!(scene.record().target.unwrap().epoch, 4);
}

#[test]
fn a_node_that_still_loads_has_not_reported() {
    let loading = DataStatus {
        phase: Phase::Loading,
        keys: None,
        ..sealed(0, "b-redis-0", 3)
    };
    let scene = restarted()
        .node(0, loading)
        .node(1, sealed(9, "b-redis-0", 3))
        .node(2, sealed(5, "b-redis-0", 3));
    assert_eq!(scene.record().target, None);
}

#[test]
fn a_pod_that_is_being_deleted_comes_back() {
    let mut scene = restarted()
        .node(0, sealed(9, "b-redis-0", 3))
        .node(1, sealed(9, "b-redis-0", 3))
        .node(2, sealed(5, "b-redis-0", 3));
    let node = scene.observed.data.get_mut("b-redis-0").unwrap();
    node.pod.as_mut().unwrap().terminating = true;
    assert_eq!(scene.record().target, None);
}

#[test]
fn an_emptied_copy_never_wins() {
    let scene = restarted()
        .node(0, empty())
        .node(1, sealed(4, "b-redis-0", 3))
        .node(2, sealed(5, "b-redis-0", 3));
    assert_eq!(scene.chosen(), ("b-redis-2".to_owned(), false));
    let mut files_of_its_own = empty();
    files_of_its_own.dataset = true;
    assert_eq!(scene.node(0, files_of_its_own).chosen().0, "b-redis-2");
}

#[test]
fn an_honest_empty_copy_of_the_newest_epoch_wins() {
    let scene = restarted()
        .node(0, sealed(0, "b-redis-0", 3))
        .node(1, sealed(4, "b-redis-1", 2))
        .node(2, empty());
    assert_eq!(scene.chosen().0, "b-redis-0");
}

#[test]
fn newer_epochs_win_over_more_keys_and_over_the_record() {
    let scene = restarted()
        .node(0, sealed(50, "b-redis-0", 3))
        .node(1, sealed(4, "b-redis-1", 4))
        .node(2, sealed(60, "b-redis-0", 2));
    assert_eq!(scene.chosen().0, "b-redis-1");
    assert_eq!(scene.record().target.unwrap().epoch, 5);
}

#[test]
fn the_recorded_primary_wins_among_equals() {
    let scene = restarted()
        .recorded(primary("b-redis-0", 6))
        .node(0, sealed(5, "b-redis-0", 3))
        .node(1, sealed(9, "b-redis-0", 5))
        .node(2, empty());
    assert_eq!(scene.chosen().0, "b-redis-0");
}

#[test]
fn who_led_has_all_that_its_copies_have_however_they_count() {
    let scene = restarted()
        .node(0, empty())
        .node(1, sealed(7, "b-redis-2", 5))
        .node(2, sealed(7, "b-redis-2", 4));
    assert_eq!(scene.chosen().0, "b-redis-2");
}

#[test]
fn a_raised_record_does_not_make_its_primary_newer_than_who_was_promoted_since() {
    let scene = restarted()
        .recorded(primary("b-redis-0", 2))
        .node(0, sealed(7, "b-redis-0", 1))
        .node(1, sealed(7, "b-redis-0", 1))
        .node(2, sealed(7, "b-redis-2", 2));
    assert_eq!(scene.chosen().0, "b-redis-2");
}

#[test]
fn a_recorded_primary_that_has_followed_since_is_none() {
    let scene = restarted()
        .recorded(primary("b-redis-1", 3))
        .node(0, empty())
        .node(1, sealed(7, "b-redis-2", 5))
        .node(2, sealed(7, "b-redis-2", 5));
    assert_eq!(scene.chosen().0, "b-redis-2");
}

#[test]
fn the_largest_of_equal_copies_wins() {
    let scene = restarted()
        .node(0, empty())
        .node(1, sealed(7, "b-redis-0", 3))
        .node(2, sealed(8, "b-redis-0", 3));
    assert_eq!(scene.chosen().0, "b-redis-2");
}

#[test]
fn whole_copies_win_over_half_ones_of_the_same_epoch() {
    let half = DataStatus {
        marker: Some(Marker {
            complete: false,
            ..marker("b-redis-0", 3)
        }),
        ..sealed(90, "b-redis-0", 3)
    };
    let scene = restarted()
        .node(0, empty())
        .node(1, half)
        .node(2, sealed(9, "b-redis-0", 3));
    assert_eq!(scene.chosen().0, "b-redis-2");
}

#[test]
fn without_a_record_the_markers_say_who_led() {
    let scene = Scene::new("{}")
        .sentinels_idle()
        .node(0, sealed(9, "b-redis-2", 3))
        .node(1, sealed(9, "b-redis-2", 3))
        .node(2, sealed(8, "b-redis-2", 3));
    assert_eq!(scene.chosen().0, "b-redis-2");
}

#[test]
fn data_of_a_deleted_bus_of_the_same_name_is_taken_up() {
    let foreign = |keys, epoch| DataStatus {
        marker: Some(Marker {
            uid: "another".to_owned(),
            ..marker("b-redis-1", epoch)
        }),
        ..sealed(keys, "b-redis-1", epoch)
    };
    let scene = Scene::new("{}")
        .sentinels_idle()
        .node(0, empty())
        .node(1, foreign(4, 9))
        .node(2, foreign(5, 8));
    assert_eq!(scene.chosen(), ("b-redis-1".to_owned(), false));
    let own = scene.node(2, sealed(1, "b-redis-2", 1));
    assert_eq!(own.chosen().0, "b-redis-2", "its own data is newer");
}

#[test]
fn a_missing_copy_may_hold_the_data() {
    let scene = waiting_for(restarted().node(0, empty()).node(1, empty()), 400);
    assert_eq!(scene.actions(), []);
    let blocked = &scene.plan().blocked[0];
    assert_eq!(blocked.reason, reason::NO_DATASET);
    assert!(blocked.message.contains("b-redis-2"));
}

#[test]
fn no_empty_copy_leads_beside_files_that_were_set_aside_and_these_count_for_no_copy() {
    let set_aside = DataStatus {
        marker: Some(Marker {
            epoch: 0,
            complete: false,
            ..marker("b-redis-0", 9)
        }),
        set_aside: true,
        ..empty()
    };
    let scene = restarted()
        .node(0, empty())
        .node(1, set_aside.clone())
        .node(2, empty());
    let scene = waiting_for(scene, 400);
    assert_eq!(scene.actions(), []);
    let blocked = &scene.plan().blocked[0];
    assert_eq!(blocked.reason, reason::NO_DATASET);
    assert!(blocked.message.contains("b-redis-1"), "{blocked:?}");
    // However old another is, and though it has received keys that it was not sent in full.
    let partly = DataStatus {
        keys: Some(1_000),
        ..set_aside
    };
    let older = scene.node(1, partly).node(2, sealed(1, "b-redis-2", 1));
    assert_eq!(older.chosen(), ("b-redis-2".to_owned(), false));
}

#[test]
fn no_empty_copy_leads_while_a_volume_has_not_been_seen() {
    let scene = Scene::new("{}")
        .sentinels_idle()
        .node(1, empty())
        .node(2, empty());
    assert_eq!(
        waiting_for(scene.clone(), 400).reasons()[0],
        reason::NO_DATASET
    );
    let all = waiting_for(scene.node(0, empty()), 0);
    assert_eq!(all.chosen(), ("b-redis-0".to_owned(), true));
}

#[test]
fn a_copy_that_is_being_read_is_waited_for_however_long() {
    let loads = DataStatus {
        phase: Phase::Loading,
        ..sealed(0, "b-redis-0", 3)
    };
    let scene = restarted()
        .node(0, loads)
        .node(1, sealed(7, "b-redis-0", 3))
        .node(2, sealed(7, "b-redis-0", 3));
    let scene = waiting_for(scene, 4_000);
    assert_eq!(scene.reasons()[0], reason::WAITING_FOR_COPIES);
}

#[test]
fn too_few_sentinels_may_hide_that_they_name_one() {
    let scene = Scene::new("{}")
        .recorded(primary("b-redis-0", 3))
        .sentinel(0, None)
        .node(0, sealed(5, "b-redis-0", 3))
        .node(1, sealed(5, "b-redis-0", 3))
        .node(2, sealed(5, "b-redis-0", 3));
    let scene = waiting_for(scene, 400);
    assert_eq!(scene.actions(), []);
    assert_eq!(scene.reasons()[0], reason::SENTINELS_UNREACHABLE);
    assert_eq!(scene.sentinel(1, None).chosen().0, "b-redis-0");
}

#[test]
fn replicas_that_are_linked_to_a_silent_primary_prove_that_it_leads() {
    let scene = waiting_for(restarted(), 400)
        .node(1, follows("b-redis-0", 3))
        .node(2, sealed(9, "b-redis-0", 3));
    assert_eq!(scene.orders(), []);
    assert_eq!(scene.reasons()[0], reason::PRIMARY_UNREACHABLE);
}

#[test]
fn a_silent_target_is_kept_until_its_pod_is_gone() {
    let chosen = waiting_for(restarted(), 400)
        .node(1, sealed(7, "b-redis-0", 3))
        .node(2, sealed(7, "b-redis-0", 3));
    let mut topology = chosen.observed.status.topology.clone().unwrap();
    topology.target = Some(target("b-redis-0", 4, false));
    let chosen = chosen.recorded(topology);
    assert_eq!(chosen.actions(), []);
    assert_eq!(chosen.reasons()[0], reason::TARGET_UNREACHABLE);
    let mut deleted = chosen.clone();
    let node = deleted.observed.data.get_mut("b-redis-0").unwrap();
    node.pod.as_mut().unwrap().terminating = true;
    assert_eq!(deleted.actions(), [], "its server may lead to the end");
    let given_up = chosen.gone(0).record().target.unwrap();
    assert_eq!((given_up.pod.as_str(), given_up.epoch), ("b-redis-1", 5));
}

#[test]
fn a_target_that_lost_its_dataset_is_replaced() {
    let scene = restarted()
        .recorded(Topology {
            target: Some(target("b-redis-0", 4, false)),
            ..primary("b-redis-0", 3)
        })
        .node(0, empty())
        .node(1, sealed(7, "b-redis-0", 3))
        .node(2, sealed(7, "b-redis-0", 3));
    assert_eq!(scene.chosen(), ("b-redis-1".to_owned(), false));
    assert_eq!(scene.record().target.unwrap().epoch, 5);
}

#[test]
fn a_target_chosen_among_empty_copies_yields_to_data() {
    let scene = Scene::new("{}")
        .sentinels_idle()
        .recorded(Topology {
            target: Some(target("b-redis-0", 1, true)),
            ..Topology::default()
        })
        .node(0, empty())
        .node(1, sealed(7, "b-redis-1", 1))
        .node(2, empty());
    assert_eq!(scene.chosen(), ("b-redis-1".to_owned(), false));
}

#[test]
fn another_that_leads_is_ended_before_the_target_leads() {
    let scene = restarted()
        .recorded(Topology {
            target: Some(target("b-redis-1", 4, false)),
            ..primary("b-redis-1", 3)
        })
        .node(0, leads(2))
        .node(1, sealed(7, "b-redis-1", 3));
    assert_eq!(
        scene.orders(),
        [("b-redis-0".to_owned(), "b-redis-1".to_owned())]
    );
}

#[test]
fn keys_that_no_marker_vouches_for_may_lead_where_they_were_chosen() {
    let brought = DataStatus {
        marker: None,
        ..sealed(7, "", 0)
    };
    let scene = Scene::new("{replicas: 0}")
        .sentinels_idle()
        .node(0, brought);
    assert_eq!(scene.chosen(), ("b-redis-0".to_owned(), false));
    let target = scene.record();
    let order = scene.recorded(target).actions();
    assert!(format!("{order:?}").contains("allow_empty: true"));
}

#[test]
fn of_copies_of_one_epoch_that_of_the_recorded_primary_is_newer() {
    let scene = Scene::new("{}")
        .recorded(primary("b-redis-2", 2))
        .sentinels_idle()
        .node(0, sealed(9, "b-redis-0", 1))
        .node(1, sealed(7, "b-redis-2", 1))
        .node(2, empty());
    assert_eq!(scene.chosen(), ("b-redis-1".to_owned(), false));
    let in_its_own_epoch = scene.recorded(primary("b-redis-2", 1));
    assert_eq!(in_its_own_epoch.chosen(), ("b-redis-0".to_owned(), false));
}
