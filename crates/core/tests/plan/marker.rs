//! What a data pod notes beside its data.

use crate::common::{UID, bus};
use crate::scene::{fqdn, marker};
use cachebus_core::config::agent_json;
use cachebus_core::protocol::{Marker, TopologyOrder};
use cachebus_core::seal::{Question, Role, Sighting, Vote, next_marker, obeyed, saved};

const POD: &str = "b-redis-0";

fn seen(before: Option<&Marker>, role: Role<'_>, rewriting: bool) -> Option<Marker> {
    seen_with(&[None, None, None], before, role, rewriting)
}

fn seen_with(
    votes: &[Option<Vote>],
    before: Option<&Marker>,
    role: Role<'_>,
    rewriting: bool,
) -> Option<Marker> {
    let config = agent_json(&bus("{}"));
    let question = Question {
        config: &config,
        pod: POD,
        votes,
        marker: before,
        dataset: true,
    };
    let aof = true;
    next_marker(
        &question,
        &Sighting {
            role,
            rewriting,
            aof,
        },
    )
}

/// The same, of a server that keeps no append-only file.
fn seen_without_aof(before: Option<&Marker>, role: Role<'_>) -> Marker {
    let config = agent_json(&bus("{}"));
    let question = Question {
        config: &config,
        pod: POD,
        votes: &[],
        marker: before,
        dataset: true,
    };
    let sighting = Sighting {
        role,
        rewriting: false,
        aof: false,
    };
    next_marker(&question, &sighting).unwrap()
}

fn linked(primary: &str) -> Role<'_> {
    Role::Following {
        primary,
        link_up: true,
        syncing: false,
    }
}

fn half(primary: &str, epoch: u64) -> Marker {
    Marker {
        complete: false,
        ..marker(primary, epoch)
    }
}

#[test]
fn files_that_do_not_follow_memory_vouch_for_nothing_until_a_snapshot_is_written() {
    let in_aof = marker(POD, 3);
    let leading = seen_without_aof(Some(&in_aof), Role::Leading);
    assert_eq!(
        (leading.epoch, leading.complete, leading.aof),
        (3, false, Some(false))
    );
    let copy = seen_without_aof(Some(&marker("b-redis-1", 3)), linked("b-redis-1"));
    assert!(!copy.complete);
    assert_eq!(seen_without_aof(Some(&leading), Role::Leading), leading);
    let shut_down = saved(&leading);
    assert!(shut_down.complete);
    assert!(!seen_without_aof(Some(&shut_down), Role::Leading).complete);
}

#[test]
fn an_append_only_file_that_was_switched_on_vouches_once_it_is_written() {
    let before = Marker {
        aof: Some(false),
        complete: false,
        ..marker(POD, 3)
    };
    let rewriting = seen(Some(&before), Role::Leading, true).unwrap();
    assert_eq!((rewriting.aof, rewriting.complete), (Some(false), false));
    let written = seen(Some(&before), Role::Leading, false).unwrap();
    assert_eq!((written.aof, written.complete), (Some(true), true));
}

#[test]
fn nothing_changes_while_nothing_changes() {
    let led = marker(POD, 3);
    assert_eq!(seen(Some(&led), Role::Leading, false), Some(led.clone()));
    assert_eq!(
        seen(Some(&led), Role::Leading, true),
        Some(led),
        "a routine rewrite"
    );
    let copy = marker("b-redis-1", 3);
    assert_eq!(
        seen(Some(&copy), linked("b-redis-1"), false),
        Some(copy.clone())
    );
    assert_eq!(seen(Some(&copy), linked("b-redis-1"), true), Some(copy));
}

#[test]
fn a_copy_is_of_its_new_primary_only_once_the_link_is_up() {
    let copy = marker("b-redis-1", 3);
    let apart = Role::Following {
        primary: "b-redis-2",
        link_up: false,
        syncing: false,
    };
    assert_eq!(seen(Some(&copy), apart, false), Some(copy.clone()));
    let counted = Marker {
        fence: 3,
        ..marker("b-redis-2", 4)
    };
    let host = fqdn("b-redis-2");
    assert_eq!(seen(Some(&copy), linked(&host), false), Some(counted));
}

#[test]
fn files_are_behind_the_memory_from_a_synchronisation_until_a_rewrite() {
    let copy = marker("b-redis-1", 3);
    let syncing = Role::Following {
        primary: "b-redis-2",
        link_up: false,
        syncing: true,
    };
    let behind = half("b-redis-1", 3);
    assert_eq!(seen(Some(&copy), syncing, false), Some(behind.clone()));
    assert_eq!(
        seen(Some(&behind), linked("b-redis-2"), true),
        Some(behind.clone())
    );
    let unseen = seen(Some(&copy), linked("b-redis-2"), true);
    assert_eq!(unseen, Some(behind.clone()), "one too short to be seen");
    let promoted = seen(Some(&behind), Role::Leading, true);
    assert_eq!(promoted, Some(behind.clone()), "even where it leads");
    let written = seen(Some(&behind), Role::Leading, false).unwrap();
    assert_eq!(
        (written.primary.as_str(), written.epoch, written.complete),
        (POD, 4, true)
    );
}

#[test]
fn who_sentinels_make_primary_counts_on_from_all_it_knows() {
    let fenced = Marker {
        fence: 6,
        ..marker("b-redis-1", 3)
    };
    assert_eq!(seen(Some(&fenced), Role::Leading, false).unwrap().epoch, 7);
    let vote = || {
        Some(Vote {
            primary_host: fqdn(POD),
            config_epoch: 20,
        })
    };
    let votes = [vote(), vote(), None];
    let told = seen_with(&votes, Some(&fenced), Role::Leading, false).unwrap();
    assert_eq!(told.epoch, 20);
}

#[test]
fn who_led_before_sentinels_named_it_counts_as_far_as_they_do() {
    let led = marker(POD, 3);
    let names = |pod: &str, config_epoch| {
        let vote = Vote {
            primary_host: fqdn(pod),
            config_epoch,
        };
        [Some(vote.clone()), Some(vote), None]
    };
    let noted = |votes: &[Option<Vote>]| {
        let noted = seen_with(votes, Some(&led), Role::Leading, false);
        noted.unwrap().epoch
    };
    assert_eq!(noted(&names(POD, 9)), 9);
    assert_eq!(noted(&names(POD, 2)), 3);
    assert_eq!(noted(&names("b-redis-1", 9)), 3);

    let copy = marker("b-redis-1", 3);
    let host = fqdn("b-redis-1");
    let following = seen_with(&names("b-redis-1", 9), Some(&copy), linked(&host), false);
    assert_eq!(
        following,
        Some(copy),
        "what its files are of it does not know"
    );
}

#[test]
fn a_fresh_copy_counts_from_nothing() {
    let first = seen(None, linked("b-redis-1"), false).unwrap();
    assert_eq!(
        first,
        Marker {
            fence: 0,
            ..marker("b-redis-1", 1)
        }
    );
    let foreign = Marker {
        uid: "another".to_owned(),
        ..marker("b-redis-1", 70)
    };
    let taken_up = seen(Some(&foreign), linked("b-redis-1"), false).unwrap();
    assert_eq!((taken_up.uid.as_str(), taken_up.epoch), (UID, 1));
}

#[test]
fn who_follows_a_stranger_notes_nothing() {
    let copy = marker("b-redis-1", 3);
    let host = fqdn("c-redis-1");
    assert_eq!(seen(Some(&copy), linked(&host), false), Some(copy));
}

fn obey(primary: &str, epoch: u64, before: Option<&Marker>, rewriting: bool) -> Marker {
    let config = agent_json(&bus("{}"));
    let question = Question {
        config: &config,
        pod: POD,
        votes: &[None, None, None],
        marker: before,
        dataset: true,
    };
    let order = TopologyOrder {
        uid: UID.to_owned(),
        primary: primary.to_owned(),
        epoch,
        allow_empty: true,
        instead_of: None,
    };
    obeyed(&order, &question, rewriting, true)
}

#[test]
fn an_order_to_follow_is_remembered_and_claims_no_data() {
    let led = marker(POD, 3);
    assert_eq!(
        obey("b-redis-1", 5, Some(&led), false),
        Marker {
            fence: 5,
            ..led.clone()
        }
    );
    let arrived = seen(
        Some(&obey("b-redis-1", 5, Some(&led), false)),
        linked("b-redis-1"),
        false,
    );
    assert_eq!(arrived, Some(marker("b-redis-1", 5)));
    let fresh = obey("b-redis-1", 5, None, false);
    assert_eq!((fresh.epoch, fresh.complete, fresh.fence), (0, false, 5));
}

#[test]
fn an_order_to_lead_makes_what_is_there_the_truth() {
    assert_eq!(obey(POD, 5, None, false), marker(POD, 5));
    let behind = half("b-redis-1", 3);
    assert_eq!(obey(POD, 5, Some(&behind), false), marker(POD, 5));
    let still_behind = obey(POD, 5, Some(&behind), true);
    assert_eq!(still_behind, Marker { fence: 5, ..behind });
}
