//! What holders of one lock did and were told, in the order in which somebody beside them saw it, and what is to be made of it.
//!
//! That somebody notes what a holder begins before the holder can begin it, and what it was answered after it was. So what was noted to
//! have ended before something began did end before it.

use std::collections::HashMap;

/// Who asks for the lock.
pub(crate) type Holder = usize;

/// A fencing number: epoch and counter.
pub(crate) type Number = (u64, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Begins to ask for the lock.
    Asks { by: Holder },
    /// Has got it.
    Acquired { by: Holder, number: Number },
    /// Begins to look whether it still holds it.
    Looks { by: Holder },
    /// Believes so, or knows that it is lost.
    Looked { by: Holder, held: bool },
    /// Has written to the database, which took it or refused it.
    Wrote { number: Number, taken: bool },
    /// Begins to give it up.
    Releases { by: Holder },
    /// Was told whether it had it until then.
    Released { by: Holder, released: bool },
    /// Somebody has tried to release it by a token that is not its holder's.
    Meddled { released: bool },
    /// What servers were told before this may be lost after it.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A holder's number is no higher than that of one which had the lock before it asked.
    NotRisen { number: Number, before: Number },
    /// A holder believed that it held what a later one had been given.
    HeldTwice { number: Number, later: Number },
    /// The database took a write after that of a later holder.
    StaleWrite { number: Number, later: Number },
    /// The database refused a write though no later holder had written.
    RefusedForNothing { number: Number },
    /// A holder released what a later one had been given.
    ReleasedAnothers { number: Number, later: Number },
    /// A token that nobody holds a lock by has released one.
    Meddled,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) acquired: usize,
    /// Writes that the database took.
    pub(crate) taken: usize,
    /// Writes that it refused.
    pub(crate) refused: usize,
    /// Releases of what was not held any more.
    pub(crate) too_late: usize,
    pub(crate) faults: Vec<Fault>,
}

/// One holder's turn.
#[derive(Clone, Copy, Default)]
struct Turn {
    /// The highest number that anybody had when it began what it does.
    before: Option<Number>,
    /// How often servers had lost something when it asked for the lock.
    losses: usize,
    number: Option<Number>,
}

#[derive(Default)]
struct Checker {
    verdict: Verdict,
    turns: HashMap<Holder, Turn>,
    highest: Option<Number>,
    written: Option<Number>,
    losses: usize,
}

pub(crate) fn check(history: &[Event]) -> Verdict {
    let mut checker = Checker::default();
    for event in history {
        checker.see(*event);
    }
    checker.verdict
}

impl Checker {
    fn see(&mut self, event: Event) {
        match event {
            Event::Asks { by } => {
                let turn = Turn {
                    before: self.highest,
                    losses: self.losses,
                    number: None,
                };
                self.turns.insert(by, turn);
            }
            Event::Acquired { by, number } => self.acquired(by, number),
            Event::Looks { by } | Event::Releases { by } => {
                self.turns.entry(by).or_default().before = self.highest;
            }
            Event::Looked { by, held } => {
                if let Some((number, later)) = self.overtaken(by).filter(|_| held) {
                    self.fault(Fault::HeldTwice { number, later });
                }
            }
            Event::Wrote { number, taken } => self.wrote(number, taken),
            Event::Released { by, released } => {
                self.verdict.too_late += usize::from(!released);
                if let Some((number, later)) = self.overtaken(by).filter(|_| released) {
                    self.fault(Fault::ReleasedAnothers { number, later });
                }
            }
            Event::Meddled { released } => {
                if released {
                    self.fault(Fault::Meddled);
                }
            }
            Event::Lost => self.losses += 1,
        }
    }

    fn acquired(&mut self, by: Holder, number: Number) {
        self.verdict.acquired += 1;
        let turn = self.turns.entry(by).or_default();
        turn.number = Some(number);
        if let Some(before) = turn.before.filter(|before| *before >= number) {
            self.fault(Fault::NotRisen { number, before });
        }
        self.highest = self.highest.max(Some(number));
    }

    fn wrote(&mut self, number: Number, taken: bool) {
        let later = self.written.filter(|written| *written > number);
        match (taken, later) {
            (true, Some(later)) => self.fault(Fault::StaleWrite { number, later }),
            (false, None) => self.fault(Fault::RefusedForNothing { number }),
            _ => {}
        }
        if taken {
            self.verdict.taken += 1;
            self.written = self.written.max(Some(number));
        } else {
            self.verdict.refused += 1;
        }
    }

    /// The number of a holder, and of one that had been given the lock after it when it began what it does. Where servers have lost
    /// something since it asked for the lock, the lock may be its own once more.
    fn overtaken(&self, by: Holder) -> Option<(Number, Number)> {
        let turn = self.turns.get(&by)?;
        let number = turn.number?;
        let later = turn.before.filter(|before| *before > number)?;
        (turn.losses == self.losses).then_some((number, later))
    }

    fn fault(&mut self, fault: Fault) {
        self.verdict.faults.push(fault);
    }
}

fn acquires(by: Holder, number: Number) -> [Event; 2] {
    [Event::Asks { by }, Event::Acquired { by, number }]
}

fn looks(by: Holder, held: bool) -> [Event; 2] {
    [Event::Looks { by }, Event::Looked { by, held }]
}

fn releases(by: Holder, released: bool) -> [Event; 2] {
    [Event::Releases { by }, Event::Released { by, released }]
}

fn faults(history: &[&[Event]]) -> Vec<Fault> {
    check(&history.concat()).faults
}

#[test]
fn holders_that_follow_one_another_have_no_fault() {
    let (first, second) = ((0, 5), (1, 3));
    let history = [
        &acquires(1, first)[..],
        &[Event::Asks { by: 2 }],
        &looks(1, true),
        &[Event::Wrote {
            number: first,
            taken: true,
        }],
        &releases(1, true),
        &[Event::Acquired {
            by: 2,
            number: second,
        }],
        &[Event::Wrote {
            number: second,
            taken: true,
        }],
        &[Event::Wrote {
            number: first,
            taken: false,
        }],
        &[Event::Meddled { released: false }],
        &looks(1, false),
        &releases(1, false),
    ];
    let verdict = check(&history.concat());
    assert_eq!(
        verdict,
        Verdict {
            acquired: 2,
            taken: 2,
            refused: 1,
            too_late: 1,
            faults: Vec::new(),
        }
    );
}

#[test]
fn a_number_that_does_not_rise_is_seen() {
    let before = (1, 5);
    for number in [(1, 5), (1, 4), (0, 9)] {
        let history = [&acquires(1, before)[..], &acquires(2, number)];
        assert_eq!(faults(&history), [Fault::NotRisen { number, before }]);
        // Nor does it after something was lost.
        let history = [
            &acquires(1, before)[..],
            &[Event::Lost],
            &acquires(2, number),
        ];
        assert_eq!(faults(&history), [Fault::NotRisen { number, before }]);
    }
}

#[test]
fn those_who_ask_at_the_same_time_may_have_their_numbers_in_either_order() {
    let (low, high) = ((0, 1), (0, 2));
    let history = [
        Event::Asks { by: 1 },
        Event::Asks { by: 2 },
        Event::Acquired {
            by: 2,
            number: high,
        },
        Event::Acquired { by: 1, number: low },
    ];
    assert_eq!(check(&history).faults, []);
}

#[test]
fn a_stale_write_that_is_taken_is_seen() {
    let (number, later) = ((0, 1), (0, 2));
    let history =
        [(later, true), (number, true)].map(|(number, taken)| Event::Wrote { number, taken });
    assert_eq!(
        check(&history).faults,
        [Fault::StaleWrite { number, later }]
    );
    let again = [number, number].map(|number| Event::Wrote {
        number,
        taken: true,
    });
    assert_eq!(check(&again).faults, []);
}

#[test]
fn a_refusal_without_a_reason_is_seen() {
    let (number, later) = ((0, 1), (0, 2));
    let refused = Event::Wrote {
        number,
        taken: false,
    };
    // That another has the lock is none: it has to have written.
    let history = [&acquires(1, number)[..], &acquires(2, later), &[refused]];
    assert_eq!(faults(&history), [Fault::RefusedForNothing { number }]);
}

#[test]
fn a_holder_that_believes_in_a_lock_which_another_has_is_seen() {
    let (number, later) = ((0, 1), (0, 2));
    let both = [&acquires(1, number)[..], &acquires(2, later)].concat();
    let fault = [Fault::HeldTwice { number, later }];
    assert_eq!(faults(&[&both, &looks(1, true)]), fault);
    assert_eq!(faults(&[&both, &looks(1, false)]), []);
    assert_eq!(faults(&[&both, &looks(2, true)]), []);
    // Who looked before the other had it was right.
    let history = [
        &acquires(1, number)[..],
        &[Event::Looks { by: 1 }],
        &acquires(2, later),
        &[Event::Looked { by: 1, held: true }],
    ];
    assert_eq!(faults(&history), []);
    // A failover that loses the lock gives it to another before its time.
    let history = [
        &acquires(1, number)[..],
        &[Event::Lost],
        &acquires(2, later),
        &looks(1, true),
    ];
    assert_eq!(faults(&history), []);
}

#[test]
fn anothers_lock_that_is_released_is_seen() {
    let (number, later) = ((0, 1), (0, 2));
    let both = [&acquires(1, number)[..], &acquires(2, later)].concat();
    let fault = [Fault::ReleasedAnothers { number, later }];
    assert_eq!(faults(&[&both, &releases(1, true)]), fault);
    assert_eq!(faults(&[&both, &releases(1, false)]), []);
    // A failover that loses the later one gives the lock back.
    assert_eq!(faults(&[&both, &[Event::Lost], &releases(1, true)]), []);
    assert_eq!(
        check(&[Event::Meddled { released: true }]).faults,
        [Fault::Meddled]
    );
}
