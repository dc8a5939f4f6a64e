//! Whatever fails on the way, nobody leads beside another and no write is lost.

use crate::scene::to_the_first;
use crate::seen::{declined, failed, limits, refused};
use cachebus_core::handover::{Handover, Seen, Side, Step};
use cachebus_core::protocol::HandoverOutcome;
use proptest::prelude::*;
use std::time::Duration;

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
            Step::Gather | Step::Call => {
                let other = 3 - self.chosen;
                if !self.leads[other] {
                    self.follows[other] = self.chosen;
                }
            }
            Step::Compare
            | Step::CompareAll
            | Step::Ask
            | Step::Feeds(_)
            | Step::Back
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
            Step::Back => Seen::Backed(chance.replicates),
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
