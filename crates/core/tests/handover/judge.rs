//! Whether a lead is handed over, and to whom.

use crate::common;
use crate::scene::{copy, names, own, says, well};
use cachebus_core::config::agent_json;
use cachebus_core::handover::{
    Choice, Copy, FIRST_CHOICE, Known, heard_enough, hindmost, judge_order, promotes, refusal,
    still_reading,
};
use cachebus_core::names::Component;
use cachebus_core::protocol::{HandoverOrder, Marker};
use cachebus_core::seal;

#[test]
fn the_replica_that_has_most_leads_unless_another_is_asked_for() {
    let mut bus = well();
    assert_eq!(
        bus.judged(),
        Ok(Choice {
            to: "b-redis-2".to_owned(),
            others: vec!["b-redis-1".to_owned()],
            epoch: 5,
            majority: 2,
        })
    );
    bus.to = Some("b-redis-1");
    assert_eq!(bus.chosen(), "b-redis-1");
    (bus.to, bus.copies[0].offset) = (None, 9);
    assert_eq!(bus.chosen(), "b-redis-1", "the lowest ordinal of equals");
}

#[test]
fn the_epoch_is_above_every_one_that_a_sentinel_shows_or_the_pod_knows() {
    let mut bus = well();
    bus.stances[1].as_mut().unwrap().highest_epoch = 11;
    assert_eq!(bus.judged().unwrap().epoch, 12);
    bus.epoch = 20;
    assert_eq!(bus.judged().unwrap().epoch, 21);
}

#[test]
fn nobody_is_made_to_lead_beside_a_third_one() {
    for crashed in [false, true] {
        let mut bus = well();
        bus.crashed = crashed;
        bus.copies[1].link_up = !crashed;
        assert_eq!(bus.chosen(), "b-redis-2");
        bus.copies[0].leads = true;
        assert_eq!(bus.judged(), Err(refusal::ANOTHER_LEADS.to_owned()));
    }
}

#[test]
fn who_is_not_a_whole_copy_in_the_stream_is_not_fit() {
    let spoil: [fn(&mut Copy); 5] = [
        |copy| copy.priority = 0,
        |copy| copy.link_up = false,
        |copy| copy.loading = true,
        |copy| copy.history = "another".to_owned(),
        |copy| copy.follows = Some("b-redis-1".to_owned()),
    ];
    for spoil in spoil {
        let mut bus = well();
        spoil(&mut bus.copies[1]);
        assert_eq!(bus.chosen(), "b-redis-1");
        bus.to = Some("b-redis-2");
        assert_eq!(bus.judged(), Err(refusal::NOT_YET_IN_SYNC.to_owned()));
        bus.to = None;
        spoil(&mut bus.copies[0]);
        assert_eq!(bus.judged(), Err(refusal::NO_CANDIDATE.to_owned()));
    }
}

#[test]
fn sentinels_must_agree_on_this_pod_and_change_nothing_themselves() {
    let mut bus = well();
    bus.stances[2] = None;
    assert!(bus.judged().is_ok(), "two of three are a majority");
    bus.stances[1] = None;
    assert_eq!(bus.judged(), Err(refusal::NO_MAJORITY.to_owned()));

    let mut moved = well();
    moved.stances[0] = says("b-redis-1", 5);
    assert_eq!(moved.judged(), Err(refusal::NOT_LEADING.to_owned()));

    let mut moving = well();
    moving.stances[2].as_mut().unwrap().failing_over = true;
    assert_eq!(moving.judged(), Err(refusal::FAILOVER_RUNNING.to_owned()));
}

#[test]
fn after_a_crash_who_has_not_read_the_end_of_the_stream_is_not_fit_yet() {
    let mut bus = well();
    bus.crashed = true;
    assert!(bus.with(still_reading));
    assert_eq!(bus.judged(), Err(refusal::NO_CANDIDATE.to_owned()));
    bus.copies[0].link_up = false;
    assert!(bus.with(still_reading));
    assert_eq!(bus.chosen(), "b-redis-1");
    bus.copies[1].link_up = false;
    assert!(!bus.with(still_reading));
    assert_eq!(bus.chosen(), "b-redis-2");
}

#[test]
fn after_a_crash_nobody_waits_for_those_who_could_not_have_more() {
    let stances = well().stances;
    let enough = |lags: &[u64], sentinels: usize, pods: &[&str]| {
        let pods: Vec<String> = pods.iter().map(|pod| (*pod).to_owned()).collect();
        let mut heard = stances.clone();
        heard[sentinels..].fill(None);
        heard_enough(Some(&own(lags)), &heard, &pods)
    };
    let both = ["b-redis-1", "b-redis-2"];
    assert!(enough(&[0, 1], 2, &both), "one of three Sentinels is away");
    assert!(!enough(&[0, 1], 1, &both), "no majority");
    assert!(!enough(&[0, 2], 3, &both[..1]), "it may have more");
    assert!(enough(&[0, 3], 3, &both[..1]), "it has been silent before");
    assert!(!enough(&[3, 3], 3, &[]), "nobody could lead");
    assert!(!enough(&[], 3, &both), "nobody was fed");
    let pods = both.map(str::to_owned);
    assert!(
        !heard_enough(None, &stances, &pods),
        "planned: all are waited for"
    );
}

#[test]
fn orders_of_other_buses_older_epochs_and_to_no_other_pod_are_refused() {
    let config = agent_json(&common::bus("{}"));
    let marker = Marker {
        uid: common::UID.to_owned(),
        primary: "b-redis-0".to_owned(),
        epoch: 3,
        complete: true,
        aof: Some(true),
        fence: 4,
    };
    let order = HandoverOrder {
        uid: common::UID.to_owned(),
        epoch: 4,
        to: Some("b-redis-1".to_owned()),
    };
    let judged = |order: &HandoverOrder, leads| {
        judge_order(order, &config, "b-redis-0", Some(&marker), leads)
            .map_err(|refused| refused.reason)
    };
    let to = |to: &str| HandoverOrder {
        to: Some(to.to_owned()),
        ..order.clone()
    };
    assert_eq!(judged(&order, true), Ok(()));
    assert_eq!(judged(&order, false), Err(refusal::NOT_LEADING.to_owned()));
    let foreign = HandoverOrder {
        uid: "another".to_owned(),
        ..order.clone()
    };
    let stale = HandoverOrder {
        epoch: 3,
        ..order.clone()
    };
    for (order, reason) in [
        (foreign, seal::refusal::FOREIGN_BUS),
        (stale, seal::refusal::STALE_EPOCH),
        (to("b-redis-0"), seal::refusal::UNKNOWN_POD),
        (to("c-redis-1"), seal::refusal::UNKNOWN_POD),
    ] {
        assert_eq!(judged(&order, true), Err(reason.to_owned()), "{order:?}");
    }
}

#[test]
fn of_those_whom_sentinels_may_promote_the_hindmost_counts() {
    let least = |copies: &[Copy]| {
        hindmost(&names(), 2, "b-redis-0", "h", copies).map_err(|refused| refused.reason)
    };
    let both = [copy("b-redis-1", 7), copy("b-redis-2", 9)];
    assert_eq!(least(&both), Ok(7));
    assert_eq!(least(&both[..1]), Err(refusal::NOT_IN_SYNC.to_owned()));
    let spoil: [fn(&mut Copy); 3] = [
        |copy| copy.leads = true,
        |copy| copy.loading = true,
        |copy| copy.history = "another".to_owned(),
    ];
    for spoil in spoil {
        let mut copies = both.clone();
        spoil(&mut copies[1]);
        assert_eq!(least(&copies), Err(refusal::NOT_IN_SYNC.to_owned()));
    }
}

#[test]
fn a_sentinel_is_asked_that_prefers_whom_it_is_to_and_knows_no_stranger() {
    let known = |pod: &str, priority| Known {
        host: names().pod_fqdn(Component::Redis, pod),
        down: false,
        priority,
    };
    let judged = |to, known: &[Known]| {
        promotes(&names(), 2, "b-redis-0", to, known).map_err(|refused| refused.reason)
    };
    let nobody = Err(refusal::NO_CANDIDATE.to_owned());
    let one = Some("b-redis-1");
    let mut both = [known("b-redis-1", 100), known("b-redis-2", 100)];
    assert_eq!(judged(None, &both), Ok(()), "whichever it is");
    assert_eq!(judged(one, &both), nobody, "it may promote the other");
    both[0].priority = FIRST_CHOICE;
    assert_eq!(judged(one, &both), Ok(()));
    both[0].down = true;
    assert_eq!(judged(one, &both), nobody);
    assert_eq!(judged(None, &both), Ok(()));
    both[1].priority = 0;
    assert_eq!(judged(None, &both), nobody);
    for stranger in ["b-redis-3", "c-redis-0", "b-redis-0"] {
        let mut known = [known("b-redis-1", FIRST_CHOICE), known(stranger, 100)];
        assert_eq!(judged(one, &known), Err(refusal::NOT_IN_SYNC.to_owned()));
        known[1].priority = 0;
        assert_eq!(judged(one, &known), Ok(()), "no Sentinel promotes it");
    }
}
