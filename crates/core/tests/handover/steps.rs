//! Which step follows which.

use crate::scene::to_the_first;
use crate::seen::{back, equal, failed, limits, named};
use cachebus_core::handover::{Choice, Handover, Limits, Seen, Side, Step};
use cachebus_core::protocol::{HANDOVER, HandoverOutcome};
use std::time::Duration;

#[test]
fn limits_stay_below_what_sentinels_wait() {
    for millis in [200, 1_000, 5_000, 600_000] {
        let down_after = Duration::from_millis(millis);
        let limits = Limits::of(down_after);
        assert!(limits.held() < down_after);
        assert!(limits.catch_up * 2 <= limits.whole);
        // Whoever is waited for in vain leaves time for the rest: to read the end of the stream, to promote and to announce.
        assert!(limits.answer <= limits.catch_up);
        assert!(limits.grace * 3 <= limits.catch_up);
        let first = limits.answer + limits.held();
        let picked = limits.heard + limits.failover;
        let second = limits.catch_up * 2 + limits.failover * 2;
        assert!(first + picked + second < HANDOVER);
    }
    assert_eq!(
        Limits::of(Duration::from_secs(5)).whole,
        Duration::from_secs(3)
    );
}

#[test]
fn a_lead_that_no_majority_confirms_is_given_back() {
    let limits = limits();
    let choice = Choice {
        to: "b-redis-1".to_owned(),
        others: Vec::new(),
        epoch: 2,
        majority: 2,
    };
    let mut handover = Handover::new(choice, false, limits);
    handover.begin();
    for seen in [Seen::Done, equal(), Seen::Done, equal(), Seen::Done] {
        handover.next(seen, Duration::ZERO);
    }
    let announced = Step::Announce(Side::Chosen, 2);
    let backed = Seen::Backed(true);
    assert_eq!(handover.next(backed, Duration::ZERO), announced);
    assert_eq!(handover.next(named(1, 0), Duration::ZERO), announced);
    let late = handover.clone().next(named(1, 0), limits.whole);
    let declined = handover.next(named(1, 2), Duration::ZERO);
    assert_eq!(declined, late, "no majority can be had");
    assert_eq!(declined, Step::Feeds(Side::Chosen));
    let given_back = handover.next(back(), Duration::ZERO);
    assert_eq!(given_back, Step::Demote(Side::Chosen));
}

#[test]
fn no_client_is_sent_to_a_new_primary_that_takes_no_writes_yet() {
    let limits = limits();
    let mut handover = Handover::new(to_the_first(), false, limits);
    handover.begin();
    for seen in [Seen::Done, equal(), Seen::Done, equal()] {
        handover.next(seen, Duration::ZERO);
    }
    let mut next = |seen, millis| handover.next(seen, Duration::from_millis(millis));
    assert_eq!(next(Seen::Done, 40), Step::Back);
    assert_eq!(next(Seen::Backed(false), 45), Step::Call);
    assert_eq!(next(failed(), 46), Step::Back);
    assert_eq!(next(Seen::Backed(false), 50), Step::Back, "called once");
    assert_eq!(next(failed(), 51), Step::Back);
    let late = limits.catch_up * 2;
    let given_up = handover.clone().next(Seen::Backed(false), late);
    assert!(matches!(given_up, Step::Announce(..)), "they learn why");
    let mut next = |seen, millis| handover.next(seen, Duration::from_millis(millis));
    let announced = next(Seen::Backed(true), 60);
    assert!(matches!(announced, Step::Announce(Side::Chosen, _)));
    assert_eq!(next(named(2, 0), 90), Step::Release);
    assert_eq!(next(Seen::Done, 91), Step::Gather);
    let end = Step::End(HandoverOutcome::Done { write_gap_ms: 90 });
    assert_eq!(next(Seen::Done, 92), end);
}
