//! Where Sentinels take no announcement, one of them fails over.

use crate::scene::to_the_first;
use crate::seen::{back, declined, equal, failed, leads, limits, named, refused};
use cachebus_core::handover::{Handover, Seen, Side, Step, refusal};
use cachebus_core::protocol::{HandoverOutcome, Refusal};
use std::time::Duration;

/// Takes what is seen for it, each after so many milliseconds, and says which steps follow.
fn follow(handover: &mut Handover, seen: &[(Seen, u64)]) -> Vec<Step> {
    seen.iter()
        .map(|(seen, millis)| handover.next(seen.clone(), Duration::from_millis(*millis)))
        .collect()
}

/// The steps up to the one in which the Sentinel is asked.
fn asked() -> Handover {
    let (mut handover, _) = declined();
    let steps = [Seen::Done, Seen::Done, equal(), Seen::Done, equal()].map(|seen| (seen, 0));
    assert_eq!(
        follow(&mut handover, &steps),
        [
            Step::Hold,
            Step::CompareAll,
            Step::Demote(Side::Own),
            Step::CompareAll,
            Step::FailOver
        ]
    );
    handover
}

fn reason(step: &Step) -> &str {
    match step {
        Step::End(HandoverOutcome::Failed(why)) => &why.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn where_sentinels_take_no_announcement_one_of_them_fails_over() {
    let mut handover = asked();
    let steps = follow(
        &mut handover,
        &[
            (Seen::Done, 10),
            (leads(None, 0), 100),
            (leads(Some("b-redis-1"), 0), 200),
            (Seen::Done, 200),
            (leads(Some("b-redis-1"), 1), 1_100),
            (leads(Some("b-redis-1"), 2), 1_200),
            (Seen::Backed(true), 1_200),
            (Seen::Done, 1_200),
            (Seen::Done, 1_200),
        ],
    );
    assert_eq!(
        steps,
        [
            Step::Watch,
            Step::Watch,
            Step::Demote(Side::Own),
            Step::Watch,
            Step::Watch,
            Step::Back,
            Step::Release,
            Step::Gather,
            Step::End(HandoverOutcome::Done {
                write_gap_ms: 1_200
            }),
        ]
    );
    assert_eq!(handover.to(), "b-redis-1");
}

#[test]
fn whomever_a_sentinel_promotes_has_the_lead() {
    let mut handover = asked();
    let steps = [
        (Seen::Done, 0),
        (leads(Some("b-redis-2"), 0), 200),
        (Seen::Done, 200),
        (leads(Some("b-redis-2"), 0), 5_000),
        (Seen::Done, 5_000),
    ];
    let steps = follow(&mut handover, &steps);
    assert_eq!(steps[1], Step::Demote(Side::Own), "it follows that one");
    assert_eq!(handover.to(), "b-redis-2");
    assert_eq!(
        steps[3],
        Step::Release,
        "Sentinels come round by themselves"
    );
    assert_eq!(reason(&steps[4]), refusal::NOT_CONFIRMED);
}

#[test]
fn where_a_sentinel_refuses_or_promotes_nobody_the_lead_is_where_it_was() {
    let mut handover = asked();
    let steps = [
        refused(),
        Seen::Done,
        Seen::Feeds(false),
        back(),
        Seen::Done,
    ];
    let steps = follow(&mut handover, &steps.map(|seen| (seen, 0)));
    assert_eq!(
        steps[..4],
        [
            Step::Promote(Side::Own),
            Step::Feeds(Side::Own),
            Step::Feeds(Side::Own),
            Step::Release
        ]
    );
    assert_eq!(reason(&steps[4]), refusal::FAILOVER_REFUSED);

    let late = 3_000;
    let mut handover = asked();
    let steps = follow(
        &mut handover,
        &[
            (Seen::Done, 0),
            (leads(None, 0), late),
            (Seen::Done, late),
            (leads(None, 0), late),
            (Seen::Done, late),
            (back(), late),
            (Seen::Done, late),
        ],
    );
    let (steps, end) = steps.split_at(6);
    assert_eq!(
        steps,
        [
            Step::Watch,
            Step::Abort,
            Step::Watch,
            Step::Promote(Side::Own),
            Step::Feeds(Side::Own),
            Step::Release
        ]
    );
    assert_eq!(reason(&end[0]), refusal::NOT_PROMOTED);
}

#[test]
fn while_it_is_unknown_whether_a_replica_leads_the_old_primary_does_not() {
    let silent = Seen::Watched {
        leads: None,
        silent: true,
        named: 0,
    };
    for forgotten in [Seen::Done, failed()] {
        let mut handover = asked();
        let steps = follow(
            &mut handover,
            &[
                (Seen::Done, 0),
                (silent.clone(), 3_000),
                (forgotten.clone(), 3_000),
                (
                    if forgotten == Seen::Done {
                        silent.clone()
                    } else {
                        failed()
                    },
                    5_000,
                ),
                (Seen::Done, 5_000),
            ],
        );
        assert_eq!(steps[3], Step::Release);
        assert_eq!(reason(&steps[4]), refusal::CANDIDATE_LOST);
    }
}

#[test]
fn no_sentinel_is_asked_before_it_is_known_whom_it_may_promote() {
    let (mut handover, _) = declined();
    assert_eq!(follow(&mut handover, &[(failed(), 1_000)]), [Step::Pick]);
    let given_up = follow(&mut handover.clone(), &[(failed(), 2_000)]);
    assert_eq!(reason(&given_up[0]), "Timeout");
    let not_yet = || {
        Seen::NotYet(Refusal {
            reason: refusal::NO_CANDIDATE.to_owned(),
            message: String::new(),
        })
    };
    let steps = [(not_yet(), 14_000), (failed(), 14_500), (not_yet(), 15_000)];
    let steps = follow(&mut handover, &steps);
    assert_eq!(
        steps[..2],
        [Step::Pick, Step::Pick],
        "each Sentinel asks every ten seconds, a busy one late"
    );
    assert_eq!(reason(&steps[2]), refusal::NO_CANDIDATE);

    let (mut held, _) = declined();
    let behind = Seen::Offsets {
        own: 2,
        chosen: 1,
        wanted: Ok(()),
    };
    let steps = [(Seen::Done, 0), (Seen::Done, 0), (behind, 1_000)];
    assert_eq!(follow(&mut held, &steps)[2], Step::Release);
}

#[test]
fn a_crashed_primary_leaves_the_failover_to_the_sentinels() {
    let mut handover = Handover::new(to_the_first(), true, limits());
    let mut step = handover.begin();
    for _ in 0..20 {
        if let Step::End(_) = step {
            break;
        }
        assert_ne!(step, Step::Pick);
        let seen = match step {
            Step::Announce(..) => named(0, 3),
            _ => Seen::Done,
        };
        step = handover.next(seen, Duration::ZERO);
    }
    assert_eq!(reason(&step), refusal::NOT_CONFIRMED);
}
