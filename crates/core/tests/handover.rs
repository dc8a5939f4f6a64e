//! Whether and to whom a lead is handed over, and that no failure on the way leaves two primaries or loses a write.
#![allow(clippy::unwrap_used)]
// Cases read better when what goes into an optional field is one already.
#![allow(clippy::unnecessary_wraps)]

mod common;

use cachebus_core::config::agent_json;
use cachebus_core::handover::{
    Choice, Copy, Handover, Limits, Own, Scene, Seen, Side, Stance, Step, heard_enough, judge,
    judge_order, refusal, still_reading,
};
use cachebus_core::names::{Component, Names};
use cachebus_core::protocol::{HandoverOrder, HandoverOutcome, Marker, Refusal};
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

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        6 => Just(Luck::Works),
        1 => Just(Luck::Mute),
        1 => Just(Luck::Lost),
    ]
}

/// Two servers, a client that writes wherever it may, and Sentinels.
#[derive(Debug)]
struct World {
    leads: [bool; 2],
    /// Writes that each has, and how many clients believe to be safe.
    has: [u64; 2],
    safe: u64,
    held: bool,
    named: usize,
    crashed: bool,
}

impl World {
    fn write(&mut self) {
        for side in 0..2 {
            if self.leads[side] && !(self.held && side == 0) && !(self.crashed && side == 0) {
                self.has[side] += 1;
                self.safe = self.safe.max(self.has[side]);
            }
        }
    }

    fn replicate(&mut self) {
        for (from, to) in [(0, 1), (1, 0)] {
            let dead = self.crashed && from == 0 && to == 1;
            if !self.leads[to] && !dead {
                self.has[to] = self.has[to].max(self.has[from]);
            }
        }
    }

    fn take_effect(&mut self, step: &Step, sentinels: usize) {
        match step {
            Step::Hold => self.held = true,
            Step::Release => self.held = false,
            Step::Demote(side) => self.leads[index(*side)] = false,
            Step::Promote(side) => {
                let side = index(*side);
                self.leads[side] = true;
                assert_eq!(self.has[side], self.safe, "what was acknowledged is lost");
            }
            Step::Announce(..) => self.named = sentinels,
            Step::Compare | Step::Ask | Step::Gather | Step::End(_) => {}
        }
    }

    fn answer(&self, step: &Step) -> Seen {
        match step {
            Step::Compare => Seen::Offsets {
                own: self.has[0],
                chosen: self.has[1],
                wanted: Ok(()),
            },
            Step::Ask => Seen::Leads(self.leads[1]),
            Step::Announce(..) => Seen::Named(self.named),
            _ => Seen::Done,
        }
    }
}

fn index(side: Side) -> usize {
    match side {
        Side::Own => 0,
        Side::Chosen => 1,
    }
}

fn failed() -> Seen {
    Seen::Failed(Refusal {
        reason: "Timeout".to_owned(),
        message: String::new(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_fails_nobody_leads_beside_another_and_no_write_is_lost(
        crashed in any::<bool>(),
        reachable in 0_usize..=3,
        fates in prop::collection::vec((luck(), 0_u64..200, 0_usize..=3, any::<bool>()), 200),
    ) {
        let mut world = World {
            leads: [!crashed, false],
            has: [5, 5],
            safe: 5,
            held: false,
            named: 0,
            crashed,
        };
        let limits = Limits::of(Duration::from_secs(5));
        let choice = well().judged().unwrap();
        let mut handover = Handover::new(choice, crashed, limits);
        let mut step = handover.begin();
        let mut elapsed = Duration::ZERO;
        let mut unanswered = false;
        for (luck, millis, sentinels, replicates) in fates.into_iter().cycle().take(4_000) {
            if let Step::End(outcome) = &step {
                let [own, chosen] = world.leads;
                let done = matches!(outcome, HandoverOutcome::Done { .. });
                prop_assert!(!done || (chosen && !own));
                prop_assert!(own || chosen || crashed || unanswered, "{outcome:?} {world:?}");
                return Ok(());
            }
            elapsed += Duration::from_millis(millis);
            world.write();
            if replicates {
                world.replicate();
            }
            // A pause ends by itself.
            world.held &= millis < 150;
            if !matches!(luck, Luck::Lost) {
                world.take_effect(&step, sentinels.min(reachable));
            }
            unanswered |= !matches!(luck, Luck::Works);
            step = match luck {
                Luck::Works => handover.next(world.answer(&step), elapsed),
                Luck::Mute | Luck::Lost => handover.next(failed(), elapsed),
            };
            prop_assert!(world.leads != [true, true], "{step:?} {world:?}");
        }
        prop_assert!(false, "it never ends");
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

#[test]
fn a_lead_that_no_majority_confirms_is_given_back() {
    let limits = Limits::of(Duration::from_secs(5));
    let choice = Choice {
        to: "b-redis-1".to_owned(),
        others: Vec::new(),
        epoch: 2,
        majority: 2,
    };
    let mut handover = Handover::new(choice, false, limits);
    handover.begin();
    let equal = || Seen::Offsets {
        own: 1,
        chosen: 1,
        wanted: Ok(()),
    };
    for seen in [Seen::Done, equal(), Seen::Done, equal()] {
        handover.next(seen, Duration::ZERO);
    }
    let announced = Step::Announce(Side::Chosen, 2);
    assert_eq!(handover.next(Seen::Done, Duration::ZERO), announced);
    assert_eq!(handover.next(Seen::Named(1), Duration::ZERO), announced);
    let given_back = handover.next(Seen::Named(1), limits.whole);
    assert_eq!(given_back, Step::Demote(Side::Chosen));
}
