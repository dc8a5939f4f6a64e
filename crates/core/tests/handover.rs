//! Whether and to whom a lead is handed over, and that no failure on the way leaves two primaries or loses a write.
#![allow(clippy::unwrap_used)]
// Cases read better when what goes into an optional field is one already.
#![allow(clippy::unnecessary_wraps)]

mod common;

use cachebus_core::config::agent_json;
use cachebus_core::handover::{
    Choice, Copy, FIRST_CHOICE, Handover, Known, Limits, Own, Scene, Seen, Side, Stance, Step,
    heard_enough, hindmost, judge, judge_order, promotes, refusal, still_reading,
};
use cachebus_core::names::{Component, Names};
use cachebus_core::protocol::{HANDOVER, HandoverOrder, HandoverOutcome, Marker, Refusal};
use cachebus_core::seal::{self, Vote};
use proptest::prelude::*;
use std::time::Duration;

fn names() -> Names {
    Names::new("b", "n", "cluster.local")
}

fn says(pod: &str, epoch: u64) -> Option<Stance> {
    Some(Stance {
        vote: Vote {
            primary_host: names().pod_fqdn(Component::Redis, pod),
            config_epoch: epoch,
        },
        failing_over: false,
        highest_epoch: epoch,
    })
}

fn copy(pod: &str, offset: u64) -> Copy {
    Copy {
        pod: pod.to_owned(),
        leads: false,
        follows: Some("b-redis-0".to_owned()),
        link_up: true,
        loading: false,
        priority: 100,
        history: "h".to_owned(),
        offset,
    }
}

/// The primary, with a replica for each number: seconds since it last acknowledged.
fn own(lags: &[u64]) -> Own {
    let lags = lags.iter().map(|lag| Some(Duration::from_secs(*lag)));
    let pods = ["b-redis-1", "b-redis-2"].map(str::to_owned);
    Own::new("h".to_owned(), pods.into_iter().zip(lags))
}

/// Judges a bus of which `b-redis-0` leads.
struct Bus {
    epoch: u64,
    crashed: bool,
    to: Option<&'static str>,
    stances: Vec<Option<Stance>>,
    copies: Vec<Copy>,
}

fn well() -> Bus {
    Bus {
        epoch: 3,
        crashed: false,
        to: None,
        stances: vec![
            says("b-redis-0", 4),
            says("b-redis-0", 4),
            says("b-redis-0", 4),
        ],
        copies: vec![copy("b-redis-1", 7), copy("b-redis-2", 9)],
    }
}

impl Bus {
    fn with<T>(&self, ask: impl Fn(&Scene<'_>) -> T) -> T {
        ask(&Scene {
            names: &names(),
            pod: "b-redis-0",
            epoch: self.epoch,
            crashed: self.crashed,
            to: self.to,
            stances: &self.stances,
            own: &own(&[1, 1]),
            copies: &self.copies,
        })
    }

    fn judged(&self) -> Result<Choice, String> {
        self.with(judge).map_err(|refused| refused.reason)
    }

    fn chosen(&self) -> String {
        self.judged().unwrap().to
    }
}

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
        assert_eq!(bus.judged(), Err(refusal::NOT_IN_SYNC.to_owned()));
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

/// What a step meets.
#[derive(Clone, Copy, Debug)]
enum Luck {
    Works,
    /// It takes effect, and the answer is lost.
    Mute,
    /// It has no effect, and no answer.
    Lost,
}

/// Works so many times as often as each of the others.
fn luck(works: u32) -> impl Strategy<Value = Luck> {
    prop_oneof![
        works => Just(Luck::Works),
        1 => Just(Luck::Mute),
        1 => Just(Luck::Lost),
    ]
}

/// Three servers, a client that writes wherever it may, and Sentinels. The first server leads, or has crashed; any of the others
/// may come to be the chosen one.
#[derive(Debug)]
struct World {
    leads: [bool; 3],
    follows: [usize; 3],
    /// Writes that each has, and how many clients believe to be safe.
    has: [u64; 3],
    safe: u64,
    held: bool,
    crashed: bool,
    chosen: usize,
    named: usize,
    /// A Sentinel does its own failover, and has not promoted anybody yet.
    failing_over: bool,
}

/// What a step meets besides its [`Luck`].
#[derive(Clone, Copy, Debug)]
struct Chance {
    millis: u64,
    sentinels: usize,
    replicates: bool,
    /// What the Sentinel that does its own failover does now: it refuses, promotes one of the others, or neither.
    sentinel: usize,
}

/// The Sentinel does something one time out of `idle` divided by three.
fn chance(idle: usize, works: u32) -> impl Strategy<Value = (Luck, Chance)> {
    (luck(works), 0_u64..200, 0_usize..=3, any::<bool>(), 0..idle).prop_map(
        |(luck, millis, sentinels, replicates, sentinel)| {
            let chance = Chance {
                millis,
                sentinels,
                replicates,
                sentinel,
            };
            (luck, chance)
        },
    )
}

impl World {
    fn new(crashed: bool) -> Self {
        Self {
            leads: [!crashed, false, false],
            follows: [1, 0, 0],
            has: [5; 3],
            safe: 5,
            held: false,
            crashed,
            chosen: 1,
            named: 0,
            failing_over: false,
        }
    }

    fn index(&self, side: Side) -> usize {
        match side {
            Side::Own => 0,
            Side::Chosen => self.chosen,
        }
    }

    fn write(&mut self) {
        for node in 0..3 {
            if self.leads[node] && !(self.held && node == 0) {
                self.has[node] += 1;
                self.safe = self.safe.max(self.has[node]);
            }
        }
    }

    fn replicate(&mut self) {
        for to in 0..3 {
            let from = self.follows[to];
            let dead = self.crashed && from == 0;
            if !self.leads[to] && !dead {
                self.has[to] = self.has[to].max(self.has[from]);
            }
        }
    }

    fn promote(&mut self, node: usize) {
        self.leads[node] = true;
        assert_eq!(self.has[node], self.safe, "what was acknowledged is lost");
    }

    /// A Sentinel promotes whom it likes, at any moment until it has forgotten its failover.
    fn sentinel(&mut self, chance: Chance) {
        if self.failing_over && (1..=2).contains(&chance.sentinel) {
            self.failing_over = false;
            self.promote(chance.sentinel);
        }
    }

    fn take_effect(&mut self, step: &Step, sentinels: usize) {
        match step {
            Step::Hold => self.held = true,
            Step::Release => self.held = false,
            Step::Demote(side) => {
                let node = self.index(*side);
                self.leads[node] = false;
                self.follows[node] = if node == 0 { self.chosen } else { 0 };
            }
            Step::Promote(side) => self.promote(self.index(*side)),
            Step::Announce(..) => self.named = sentinels,
            Step::FailOver => self.failing_over = true,
            Step::Abort => self.failing_over = false,
            Step::Gather => {
                let other = 3 - self.chosen;
                if !self.leads[other] {
                    self.follows[other] = self.chosen;
                }
            }
            Step::Compare
            | Step::CompareAll
            | Step::Ask
            | Step::Feeds(_)
            | Step::Pick
            | Step::Watch
            | Step::End(_) => {}
        }
    }

    fn answer(&mut self, step: &Step, chance: Chance) -> Seen {
        let offsets = |chosen| Seen::Offsets {
            own: self.has[0],
            chosen,
            wanted: Ok(()),
        };
        match step {
            Step::Compare => offsets(self.has[self.chosen]),
            Step::CompareAll if self.leads[1] || self.leads[2] => failed(),
            Step::CompareAll => offsets(self.has[1].min(self.has[2])),
            Step::Ask => Seen::Leads(self.leads[self.chosen]),
            Step::Feeds(_) => Seen::Feeds(chance.replicates),
            Step::Announce(..) => Seen::Named {
                taken: self.named,
                declined: if chance.replicates { 3 - self.named } else { 0 },
            },
            Step::Watch => {
                let leads = (1..3).find(|node| self.leads[*node]);
                self.chosen = leads.unwrap_or(self.chosen);
                Seen::Watched {
                    leads: leads.map(|node| format!("b-redis-{node}")),
                    silent: false,
                    named: chance.sentinels,
                }
            }
            _ => Seen::Done,
        }
    }

    fn leaders(&self) -> usize {
        self.leads.iter().filter(|leads| **leads).count()
    }
}

fn failed() -> Seen {
    Seen::Failed(Refusal {
        reason: "Timeout".to_owned(),
        message: String::new(),
    })
}

/// What is seen of a step that took no effect, or whose answer was lost.
fn unheard(step: &Step) -> Seen {
    match step {
        Step::Watch => Seen::Watched {
            leads: None,
            silent: true,
            named: 0,
        },
        _ => failed(),
    }
}

/// To the first replica, as [`well`] has them.
fn to_the_first() -> Choice {
    let mut bus = well();
    bus.to = Some("b-redis-1");
    bus.judged().unwrap()
}

/// Takes a handover on from a step to its end.
fn run(
    mut world: World,
    (mut handover, mut step): (Handover, Step),
    reachable: usize,
    chances: Vec<(Luck, Chance)>,
) -> Result<(), TestCaseError> {
    let mut elapsed = Duration::ZERO;
    let mut unanswered = false;
    for (luck, chance) in chances.into_iter().cycle().take(4_000) {
        if let Step::End(outcome) = &step {
            let done = matches!(outcome, HandoverOutcome::Done { .. });
            let to = handover.to() == format!("b-redis-{}", world.chosen);
            prop_assert!(!done || (to && world.leads[world.chosen] && !world.leads[0]));
            prop_assert!(
                world.leaders() == 1 || world.crashed || unanswered,
                "{outcome:?} {world:?}"
            );
            prop_assert!(!world.held || unanswered, "{outcome:?} {world:?}");
            return Ok(());
        }
        elapsed += Duration::from_millis(chance.millis);
        world.write();
        if chance.replicates {
            world.replicate();
        }
        world.sentinel(chance);
        // A pause ends by itself.
        world.held &= chance.millis < 150;
        let refuses = step == Step::FailOver && chance.sentinel == 0;
        if !refuses && !matches!(luck, Luck::Lost) {
            world.take_effect(&step, chance.sentinels.min(reachable));
        }
        unanswered |= !matches!(luck, Luck::Works);
        let seen = match luck {
            Luck::Works if refuses => refused(),
            Luck::Works => world.answer(&step, chance),
            Luck::Mute | Luck::Lost => unheard(&step),
        };
        step = handover.next(seen, elapsed);
        prop_assert!(world.leaders() <= 1, "{step:?} {world:?}");
    }
    prop_assert!(false, "it never ends");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_fails_nobody_leads_beside_another_and_no_write_is_lost(
        crashed in any::<bool>(),
        reachable in 0_usize..=3,
        chances in prop::collection::vec(chance(6, 6), 300),
    ) {
        let mut handover = Handover::new(to_the_first(), crashed, limits());
        let step = handover.begin();
        run(World::new(crashed), (handover, step), reachable, chances)?;
    }

    #[test]
    fn however_late_a_sentinel_promotes_nobody_leads_beside_another_and_no_write_is_lost(
        chances in prop::collection::vec(chance(60, 20), 300),
    ) {
        run(World::new(false), declined(), 0, chances)?;
    }
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

fn named(taken: usize, declined: usize) -> Seen {
    Seen::Named { taken, declined }
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
    for seen in [Seen::Done, equal(), Seen::Done, equal()] {
        handover.next(seen, Duration::ZERO);
    }
    let announced = Step::Announce(Side::Chosen, 2);
    assert_eq!(handover.next(Seen::Done, Duration::ZERO), announced);
    assert_eq!(handover.next(named(1, 0), Duration::ZERO), announced);
    let late = handover.clone().next(named(1, 0), limits.whole);
    let declined = handover.next(named(1, 2), Duration::ZERO);
    assert_eq!(declined, late, "no majority can be had");
    assert_eq!(declined, Step::Feeds(Side::Chosen));
    let given_back = handover.next(back(), Duration::ZERO);
    assert_eq!(given_back, Step::Demote(Side::Chosen));
}

/// A handover whose announcement has been declined and undone, at its first step after that.
fn declined() -> (Handover, Step) {
    let mut handover = Handover::new(to_the_first(), false, limits());
    let mut step = handover.begin();
    while step != Step::Pick {
        let seen = match &step {
            Step::Compare => equal(),
            Step::Announce(..) => named(0, 3),
            Step::Feeds(_) => Seen::Feeds(true),
            _ => Seen::Done,
        };
        step = handover.next(seen, Duration::ZERO);
    }
    (handover, step)
}

fn limits() -> Limits {
    Limits::of(Duration::from_secs(5))
}

fn equal() -> Seen {
    Seen::Offsets {
        own: 1,
        chosen: 1,
        wanted: Ok(()),
    }
}

fn leads(pod: Option<&str>, named: usize) -> Seen {
    Seen::Watched {
        leads: pod.map(str::to_owned),
        silent: false,
        named,
    }
}

fn back() -> Seen {
    Seen::Feeds(true)
}

fn refused() -> Seen {
    Seen::Refused(Refusal {
        reason: refusal::FAILOVER_REFUSED.to_owned(),
        message: "-NOGOODSLAVE".to_owned(),
    })
}

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
    let steps = [(not_yet(), 10_000), (failed(), 10_500), (not_yet(), 11_000)];
    let steps = follow(&mut handover, &steps);
    assert_eq!(
        steps[..2],
        [Step::Pick, Step::Pick],
        "each Sentinel asks within ten seconds"
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
