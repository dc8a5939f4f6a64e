//! How a data pod starts, and which orders it obeys.

use crate::common::{UID, bus};
use crate::scene::{fqdn, marker};
use cachebus_core::config::agent_json;
use cachebus_core::protocol::{AgentConfig, Marker, TopologyOrder};
use cachebus_core::seal::{
    NEVER_PROMOTE, Question, Start, Verdict, Vote, decide, judge_order, priority, refusal,
};
use std::time::Duration;

fn config() -> AgentConfig {
    agent_json(&bus("{}"))
}

fn names(pod: &str, config_epoch: u64) -> Vote {
    Vote {
        primary_host: fqdn(pod),
        config_epoch,
    }
}

fn start(votes: &[Option<Vote>], marker: Option<&Marker>, dataset: bool) -> Start {
    start_in(&config(), votes, marker, dataset)
}

fn start_in(
    config: &AgentConfig,
    votes: &[Option<Vote>],
    marker: Option<&Marker>,
    dataset: bool,
) -> Start {
    decide(&Question {
        config,
        pod: "b-redis-0",
        votes,
        marker,
        dataset,
    })
}

fn following(pod: &str, priority: u32) -> Start {
    Start::FollowPrimary {
        pod: pod.to_owned(),
        priority,
    }
}

#[test]
fn the_only_copy_need_not_be_whole_to_lead() {
    let alone = AgentConfig {
        replicas: 0,
        ..config()
    };
    let votes = [
        Some(names("b-redis-0", 1)),
        Some(names("b-redis-0", 1)),
        None,
    ];
    let half = Marker {
        complete: false,
        ..marker("b-redis-0", 1)
    };
    assert_eq!(start_in(&alone, &votes, Some(&half), true), Start::Lead);
    assert_eq!(start_in(&alone, &votes, Some(&half), false), Start::Hold);
    assert_eq!(start_in(&alone, &votes, None, true), Start::Hold);
}

#[test]
fn who_is_named_leads_only_with_whole_files_of_this_bus() {
    let votes = [
        Some(names("b-redis-0", 1)),
        Some(names("b-redis-0", 1)),
        None,
    ];
    let whole = marker("b-redis-1", 1);
    assert_eq!(start(&votes, Some(&whole), true), Start::Lead);
    assert_eq!(start(&votes, Some(&whole), false), Start::Hold);
    assert_eq!(start(&votes, None, true), Start::Hold);
    let half = Marker {
        complete: false,
        ..whole.clone()
    };
    assert_eq!(start(&votes, Some(&half), true), Start::Hold);
    let foreign = Marker {
        uid: "another".to_owned(),
        ..whole
    };
    assert_eq!(start(&votes, Some(&foreign), true), Start::Hold);
}

#[test]
fn only_a_copy_of_the_named_primary_is_a_candidate() {
    let votes = [
        Some(names("b-redis-1", 1)),
        Some(names("b-redis-1", 1)),
        None,
    ];
    let copy = marker("b-redis-1", 1);
    assert_eq!(
        start(&votes, Some(&copy), true),
        following("b-redis-1", 100)
    );
    for (marker, dataset) in [
        (None, false),
        (None, true),
        (Some(copy.clone()), false),
        (Some(marker("b-redis-2", 1)), true),
        (
            Some(Marker {
                complete: false,
                ..copy.clone()
            }),
            true,
        ),
        (
            Some(Marker {
                uid: "another".to_owned(),
                ..copy
            }),
            true,
        ),
    ] {
        assert_eq!(
            start(&votes, marker.as_ref(), dataset),
            following("b-redis-1", NEVER_PROMOTE),
            "{marker:?} {dataset}"
        );
    }
}

#[test]
fn without_a_majority_the_server_is_sealed() {
    let whole = marker("b-redis-0", 1);
    for votes in [
        vec![None, None, None],
        vec![Some(names("b-redis-0", 1)), None, None],
        vec![
            Some(names("b-redis-0", 1)),
            Some(names("b-redis-1", 1)),
            None,
        ],
        vec![
            Some(names("c-redis-0", 1)),
            Some(names("c-redis-0", 1)),
            Some(names("c-redis-0", 1)),
        ],
        // The third knows more, and the others will hear of it.
        vec![
            Some(names("b-redis-0", 1)),
            Some(names("b-redis-0", 1)),
            Some(names("b-redis-1", 2)),
        ],
    ] {
        assert_eq!(
            start(&votes, Some(&whole), true),
            Start::Sealed,
            "{votes:?}"
        );
    }
}

#[test]
fn an_older_minority_takes_nothing_from_a_majority() {
    let votes = [
        Some(names("b-redis-1", 2)),
        Some(names("b-redis-1", 2)),
        Some(names("b-redis-0", 1)),
    ];
    let copy = marker("b-redis-1", 1);
    assert_eq!(
        start(&votes, Some(&copy), true),
        following("b-redis-1", 100)
    );
}

#[test]
fn a_running_replica_is_a_candidate_from_its_first_link_on() {
    let config = config();
    let other = marker("b-redis-2", 1);
    let say = |linked| priority(&config, Some(&other), true, "b-redis-1", linked);
    assert_eq!(say(false), NEVER_PROMOTE);
    assert_eq!(say(true), config.replica_priority);
}

fn order(primary: &str, epoch: u64) -> TopologyOrder {
    TopologyOrder {
        uid: UID.to_owned(),
        primary: primary.to_owned(),
        epoch,
        allow_empty: false,
        instead_of: None,
    }
}

fn judge(
    order: &TopologyOrder,
    votes: &[Option<Vote>],
    marker: Option<&Marker>,
    dataset: bool,
) -> Result<Verdict, String> {
    let config = config();
    let question = Question {
        config: &config,
        pod: "b-redis-0",
        votes,
        marker,
        dataset,
    };
    judge_order(order, &question, None).map_err(|refusal| refusal.reason)
}

const SILENT: [Option<Vote>; 3] = [None, None, None];

#[test]
fn an_order_of_the_newest_epoch_is_obeyed() {
    let own = marker("b-redis-0", 3);
    assert_eq!(
        judge(&order("b-redis-0", 3), &SILENT, Some(&own), true),
        Ok(Verdict::Lead)
    );
    let follow = |priority| {
        Ok(Verdict::Follow {
            pod: "b-redis-1".to_owned(),
            priority,
        })
    };
    assert_eq!(
        judge(&order("b-redis-1", 4), &SILENT, Some(&own), true),
        follow(NEVER_PROMOTE)
    );
    let copy = marker("b-redis-1", 3);
    assert_eq!(
        judge(&order("b-redis-1", 4), &SILENT, Some(&copy), true),
        follow(100)
    );
}

#[test]
fn orders_of_other_buses_older_epochs_and_other_pods_are_refused() {
    let own = marker("b-redis-0", 3);
    let fenced = Marker {
        fence: 5,
        ..own.clone()
    };
    let foreign = TopologyOrder {
        uid: "another".to_owned(),
        ..order("b-redis-0", 9)
    };
    for (order, marker, reason) in [
        (foreign, &own, refusal::FOREIGN_BUS),
        (order("b-redis-0", 2), &own, refusal::STALE_EPOCH),
        (order("b-redis-0", 4), &fenced, refusal::STALE_EPOCH),
        // The same epoch already has another primary.
        (order("b-redis-1", 3), &own, refusal::STALE_EPOCH),
        (order("c-redis-1", 9), &own, refusal::UNKNOWN_POD),
        (order("b-sentinel-1", 9), &own, refusal::UNKNOWN_POD),
        (order("", 9), &own, refusal::UNKNOWN_POD),
    ] {
        assert_eq!(
            judge(&order, &SILENT, Some(marker), true),
            Err(reason.to_owned()),
            "{order:?}"
        );
    }
}

#[test]
fn an_order_against_the_sentinels_is_refused_unless_it_says_so() {
    let own = marker("b-redis-0", 3);
    let majority = [
        Some(names("b-redis-1", 1)),
        Some(names("b-redis-1", 1)),
        None,
    ];
    let moving = [
        Some(names("b-redis-0", 1)),
        Some(names("b-redis-0", 1)),
        Some(names("b-redis-1", 2)),
    ];
    for votes in [majority, moving] {
        let contradicts = order("b-redis-0", 9);
        assert_eq!(
            judge(&contradicts, &votes, Some(&own), true),
            Err(refusal::SENTINEL_DISAGREES.to_owned())
        );
        let knowing = TopologyOrder {
            instead_of: Some("b-redis-1".to_owned()),
            ..contradicts.clone()
        };
        assert_eq!(judge(&knowing, &votes, Some(&own), true), Ok(Verdict::Lead));
        let mistaken = TopologyOrder {
            instead_of: Some("b-redis-2".to_owned()),
            ..contradicts
        };
        assert_eq!(
            judge(&mistaken, &votes, Some(&own), true),
            Err(refusal::SENTINEL_DISAGREES.to_owned())
        );
    }
}

#[test]
fn a_lead_that_nobody_ordered_is_not_ended_by_order_before_sentinels_had_time_to_name_it() {
    let own = marker("b-redis-0", 3);
    let config = config();
    let old = [
        Some(names("b-redis-1", 1)),
        Some(names("b-redis-1", 1)),
        None,
    ];
    let question = Question {
        config: &config,
        pod: "b-redis-0",
        votes: &old,
        marker: Some(&own),
        dataset: true,
    };
    let verdict = |pod: &str, millis| {
        judge_order(
            &order(pod, 9),
            &question,
            Some(Duration::from_millis(millis)),
        )
        .map_err(|refusal| refusal.reason)
    };
    assert_eq!(
        verdict("b-redis-1", 2_999),
        Err(refusal::JUST_PROMOTED.to_owned())
    );
    assert!(verdict("b-redis-1", 3_000).is_ok());
    let agrees = Question {
        votes: &SILENT,
        ..question
    };
    let leads_on = judge_order(&order("b-redis-0", 9), &agrees, Some(Duration::ZERO));
    assert_eq!(leads_on, Ok(Verdict::Lead));
}

#[test]
fn only_data_that_a_marker_vouches_for_leads_unless_emptiness_is_allowed() {
    let lead = order("b-redis-0", 9);
    let fence_only = Marker {
        epoch: 0,
        complete: false,
        ..marker("b-redis-1", 0)
    };
    for (marker, dataset) in [(None, false), (None, true), (Some(&fence_only), true)] {
        assert_eq!(
            judge(&lead, &SILENT, marker, dataset),
            Err(refusal::NO_DATASET.to_owned())
        );
    }
    let allowed = TopologyOrder {
        allow_empty: true,
        ..lead.clone()
    };
    assert_eq!(judge(&allowed, &SILENT, None, false), Ok(Verdict::Lead));
    let foreign = Marker {
        uid: "another".to_owned(),
        ..marker("b-redis-1", 70)
    };
    assert_eq!(
        judge(&lead, &SILENT, Some(&foreign), true),
        Ok(Verdict::Lead)
    );
}
