//! What clients did with cached values and what they read, and how old that was.
//!
//! A version of a value is a number that rises with each change of the database, for each key. What is noted of a deed lies around it: it is
//! noted to begin before it can, and to be done after it is.

use std::collections::BTreeMap;
use std::time::Duration;

/// Since the history began.
pub(crate) type Moment = Duration;

/// How a client reads, and so how old its answers may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// From the server.
    Server,
    /// From memory, as long as the server tells of changes.
    Tracked,
    /// From memory, until an event or a time.
    Events,
}

/// The documented bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Nothing is stored for longer.
    pub(crate) ttl: Duration,
    /// Of what is told, nobody who is told holds older values.
    pub(crate) staleness: Duration,
    /// Of what is not told, nobody holds older values.
    pub(crate) max_age: Duration,
}

/// A change of the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    pub(crate) key: u64,
    pub(crate) version: u64,
    pub(crate) at: Moment,
}

/// A version was stored: by whom it was read of the database, or written to it, before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) key: u64,
    pub(crate) version: u64,
    /// The database had it then.
    pub(crate) since: Moment,
    /// When it was done; `None`: nobody knows.
    pub(crate) done: Option<Moment>,
}

/// Somebody has replaced or removed a value of the cache, which was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    pub(crate) key: u64,
    pub(crate) by: usize,
    /// `None`: it was removed.
    pub(crate) version: Option<u64>,
    pub(crate) begun: Moment,
    pub(crate) done: Moment,
    /// When its event was emitted, if it was.
    pub(crate) told: Option<Moment>,
}

/// Somebody has read a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) key: u64,
    pub(crate) by: usize,
    pub(crate) way: Way,
    /// It may have joined those of its client that asked for the same before.
    pub(crate) shared: bool,
    pub(crate) version: u64,
    pub(crate) asked: Moment,
    pub(crate) answered: Moment,
}

/// A time in which another server was made the primary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub(crate) begun: Moment,
    pub(crate) done: Moment,
    /// What was acknowledged in it may be lost.
    pub(crate) loses: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) committed: Vec<Committed>,
    pub(crate) stored: Vec<Stored>,
    pub(crate) changed: Vec<Changed>,
    pub(crate) read: Vec<Read>,
    pub(crate) moved: Vec<Moved>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody has stored what was read.
    Unknown(Read),
    /// It had been stored for longer than its time.
    Outlived { read: Read, stored: Duration },
    /// The cache had replaced or removed it for longer than the bound.
    Stale {
        read: Read,
        age: Duration,
        bound: Duration,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Number of reads, and how long ago the database had replaced the oldest of what they read.
    pub(crate) reads: BTreeMap<Way, (usize, Duration)>,
    pub(crate) faults: Vec<Fault>,
}

pub(crate) fn check(history: &History, bounds: Bounds) -> Verdict {
    let mut verdict = Verdict::default();
    for read in &history.read {
        let asked = history.asked(read);
        let (number, oldest) = verdict.reads.entry(read.way).or_default();
        *number += 1;
        *oldest = history.age(read, asked).max(*oldest);
        verdict.faults.extend(history.fault(read, asked, bounds));
    }
    verdict
}

impl History {
    /// When the first of those asked that a read may have shared its answer with.
    fn asked(&self, read: &Read) -> Moment {
        if !read.shared {
            return read.asked;
        }
        let others = self.read.iter().filter(|other| {
            (other.shared, other.by, other.key) == (true, read.by, read.key)
                && (other.asked..=other.answered).contains(&read.asked)
        });
        others.map(|other| other.asked).min().unwrap_or(read.asked)
    }

    /// For how long the database had had another version.
    fn age(&self, read: &Read, asked: Moment) -> Duration {
        let replaced = self
            .committed
            .iter()
            .filter(|committed| committed.key == read.key && committed.version > read.version);
        let replaced = replaced.map(|committed| committed.at).min();
        replaced.map_or(Duration::ZERO, |at| asked.saturating_sub(at))
    }

    fn fault(&self, read: &Read, asked: Moment, bounds: Bounds) -> Option<Fault> {
        let stored = self
            .stored
            .iter()
            .filter(|stored| (stored.key, stored.version) == (read.key, read.version))
            .filter(|stored| stored.since <= read.answered);
        let last = stored.map(|stored| stored.done.unwrap_or(Duration::MAX));
        let Some(last) = last.max() else {
            return Some(Fault::Unknown(*read));
        };
        let stored = asked.saturating_sub(last);
        if stored > bounds.ttl {
            return Some(Fault::Outlived {
                read: *read,
                stored,
            });
        }
        let changed = self
            .changed
            .iter()
            .filter(|changed| changed.key == read.key && changed.version != Some(read.version))
            .filter(|changed| changed.begun >= last && !self.may_lose(changed));
        changed
            .map(|changed| (self.reached(changed), changed.known(read, bounds)))
            .find_map(|(reached, (known, bound))| {
                let known = known.max(reached);
                let age = asked.checked_sub(known).filter(|age| *age > bound)?;
                Some(Fault::Stale {
                    read: *read,
                    age,
                    bound,
                })
            })
    }

    /// Whether a change was made while what was acknowledged could be lost.
    fn may_lose(&self, changed: &Changed) -> bool {
        let mut losing = self.moved.iter().filter(|moved| moved.loses);
        losing.any(|moved| changed.done >= moved.begun && changed.begun <= moved.done)
    }

    /// When all who are connected are connected to a server that has a change: the former primary answers until the connections to it are
    /// ended.
    fn reached(&self, changed: &Changed) -> Moment {
        let planned = self.moved.iter().filter(|moved| !moved.loses);
        planned
            .filter(|moved| (moved.begun..=moved.done).contains(&changed.done))
            .map(|moved| moved.done)
            .max()
            .unwrap_or(changed.done)
    }
}

impl Changed {
    /// Since when a reader is to know of it, and for how long it need not all the same.
    fn known(&self, read: &Read, bounds: Bounds) -> (Moment, Duration) {
        match (read.way, self.told) {
            (Way::Server, _) => (self.done, Duration::ZERO),
            _ if self.by == read.by => (self.done, Duration::ZERO),
            (Way::Tracked, _) => (self.done, bounds.staleness),
            (Way::Events, Some(told)) => (told, bounds.staleness),
            (Way::Events, None) => (self.done, bounds.max_age),
        }
    }
}

const BOUNDS: Bounds = Bounds {
    ttl: Duration::from_secs(10),
    staleness: Duration::from_secs(2),
    max_age: Duration::from_secs(5),
};

const WRITER: usize = 0;
const READER: usize = 1;

fn at(seconds: u64) -> Moment {
    Duration::from_secs(seconds)
}

/// Version 1 is stored from second 0 to 1, and version 2 takes its place from 3 to 4, which is told at 5.
fn replaced() -> History {
    let mut history = History::default();
    for (version, begun) in [(1, at(0)), (2, at(3))] {
        let done = begun + at(1);
        history.committed.push(Committed {
            key: 7,
            version,
            at: begun,
        });
        history.stored.push(Stored {
            key: 7,
            version,
            since: begun,
            done: Some(done),
        });
        history.changed.push(Changed {
            key: 7,
            by: WRITER,
            version: Some(version),
            begun,
            done,
            told: Some(done + at(1)),
        });
    }
    history
}

fn read(way: Way, version: u64, asked: u64) -> Read {
    Read {
        key: 7,
        by: READER,
        way,
        shared: false,
        version,
        asked: at(asked),
        answered: at(asked) + Duration::from_millis(1),
    }
}

fn judged(mut history: History, read: Read) -> Vec<Fault> {
    history.read.push(read);
    check(&history, BOUNDS).faults
}

fn stale(read: Read, age: u64, bound: Duration) -> Fault {
    let age = at(age);
    Fault::Stale { read, age, bound }
}

#[test]
fn what_was_replaced_before_it_was_asked_for_is_stale() {
    for asked in 2..=4 {
        assert_eq!(judged(replaced(), read(Way::Server, 1, asked)), []);
    }
    let late = read(Way::Server, 1, 5);
    assert_eq!(judged(replaced(), late), [stale(late, 1, Duration::ZERO)]);
    assert_eq!(judged(replaced(), read(Way::Server, 2, 5)), []);
}

#[test]
fn what_was_removed_before_it_was_asked_for_is_stale() {
    let mut history = replaced();
    history.changed[1].version = None;
    let read = read(Way::Server, 1, 5);
    assert_eq!(judged(history, read), [stale(read, 1, Duration::ZERO)]);
}

#[test]
fn memory_may_be_as_old_as_its_bound() {
    assert_eq!(judged(replaced(), read(Way::Tracked, 1, 6)), []);
    let late = read(Way::Tracked, 1, 7);
    assert_eq!(judged(replaced(), late), [stale(late, 3, BOUNDS.staleness)]);
    // Of events it goes by when they were emitted.
    assert_eq!(judged(replaced(), read(Way::Events, 1, 7)), []);
    let late = read(Way::Events, 1, 8);
    assert_eq!(judged(replaced(), late), [stale(late, 3, BOUNDS.staleness)]);
    let mut untold = replaced();
    untold.changed[1].told = None;
    assert_eq!(judged(untold.clone(), read(Way::Events, 1, 9)), []);
    let late = read(Way::Events, 1, 10);
    assert_eq!(judged(untold, late), [stale(late, 6, BOUNDS.max_age)]);
}

#[test]
fn what_a_client_has_changed_itself_it_knows_at_once() {
    for way in [Way::Tracked, Way::Events] {
        let own = Read {
            by: WRITER,
            ..read(way, 1, 5)
        };
        assert_eq!(judged(replaced(), own), [stale(own, 1, Duration::ZERO)]);
    }
}

#[test]
fn what_was_stored_at_the_same_time_may_be_the_last() {
    let mut history = replaced();
    history.stored.push(Stored {
        key: 7,
        version: 1,
        since: at(1),
        done: Some(at(4)),
    });
    assert_eq!(judged(history.clone(), read(Way::Server, 1, 14)), []);
    // It is old by then, and no older than its time and the time that its load took.
    history.read.push(read(Way::Server, 1, 14));
    let reads = check(&history, BOUNDS).reads;
    assert_eq!(reads, BTreeMap::from([(Way::Server, (1, at(11)))]));
    let read = read(Way::Server, 1, 15);
    let outlived = Fault::Outlived {
        read,
        stored: at(11),
    };
    assert_eq!(judged(history, read), [outlived]);
}

#[test]
fn what_nobody_has_stored_yet_is_seen() {
    let early = read(Way::Server, 2, 2);
    assert_eq!(judged(replaced(), early), [Fault::Unknown(early)]);
    let never = read(Way::Server, 3, 5);
    assert_eq!(judged(replaced(), never), [Fault::Unknown(never)]);
}

#[test]
fn nobody_knows_how_long_what_was_not_acknowledged_may_take() {
    let mut history = replaced();
    history.stored[0].done = None;
    assert_eq!(judged(history, read(Way::Server, 1, 20)), []);
}

#[test]
fn a_shared_answer_is_as_old_as_the_first_question() {
    let mut history = replaced();
    let first = Read {
        shared: true,
        answered: at(6),
        ..read(Way::Server, 1, 4)
    };
    history.read.push(first);
    let second = Read {
        shared: true,
        ..read(Way::Server, 1, 5)
    };
    assert_eq!(judged(history.clone(), second), []);
    let of_another = Read {
        by: WRITER,
        ..second
    };
    let fault = stale(of_another, 1, Duration::ZERO);
    assert_eq!(judged(history.clone(), of_another), [fault]);
    let later = Read {
        shared: true,
        ..read(Way::Server, 1, 7)
    };
    assert_eq!(judged(history, later), [stale(later, 3, Duration::ZERO)]);
}

#[test]
fn what_a_failover_loses_is_not_missed() {
    let moved = |begun, done, loses| {
        let mut history = replaced();
        let (begun, done) = (at(begun), at(done));
        history.moved.push(Moved { begun, done, loses });
        history
    };
    let late = read(Way::Server, 1, 8);
    assert_eq!(judged(moved(4, 6, true), late), []);
    // What was done before it is not lost, nor what begins after it.
    let fault = stale(late, 4, Duration::ZERO);
    assert_eq!(judged(moved(5, 6, true), late), [fault]);
    assert_eq!(judged(moved(1, 2, true), late), [fault]);
}

#[test]
fn what_is_changed_in_a_planned_one_is_known_when_it_is_done() {
    let mut history = replaced();
    history.moved.push(Moved {
        begun: at(2),
        done: at(6),
        loses: false,
    });
    for early in [
        read(Way::Server, 1, 6),
        read(Way::Tracked, 1, 8),
        read(Way::Events, 1, 8),
    ] {
        assert_eq!(judged(history.clone(), early), []);
    }
    let late = read(Way::Server, 1, 7);
    let fault = stale(late, 1, Duration::ZERO);
    assert_eq!(judged(history.clone(), late), [fault]);
    let late = read(Way::Tracked, 1, 9);
    assert_eq!(judged(history, late), [stale(late, 3, BOUNDS.staleness)]);
}
