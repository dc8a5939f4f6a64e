//! What became of the writes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Finals, Micros, Outcome, Read, Record, Write};

/// What is to be made of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Writes that the server said were done.
    pub acknowledged: u64,
    /// Attempts that were refused, or never reached a server.
    pub refused: u64,
    /// Writes that may or may not have been carried out.
    pub unknown: u64,
    /// Those of them that were.
    pub unknown_kept: u64,
    /// Acknowledged writes that are gone.
    pub lost: u64,
    /// The same by path.
    pub lost_by_path: BTreeMap<String, u64>,
    /// Values that are there more than once, each further time counted.
    pub duplicated: u64,
    /// Acknowledged writes that stand before one which had ended when they began.
    pub reordered: u64,
    /// Values that are there although their write was refused, or that nobody wrote.
    pub unexplained: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Reads older than a kept value that was acknowledged, or read, before they began, by reader.
    pub stale: BTreeMap<String, u64>,
    /// Reads of a value that was not kept.
    pub vanished: u64,
    /// Attempts without acknowledgement, by code.
    pub errors: BTreeMap<String, u64>,
}

impl Verdict {
    /// Stale reads of all readers.
    #[must_use]
    pub fn stale_reads(&self) -> u64 {
        self.stale.values().sum()
    }

    /// What must never be, whatever fails. `lost`, `vanished` and `stale` depend on the fault and on what was promised: a
    /// former primary that comes back answers reads until it is told to follow.
    #[must_use]
    pub fn impossible(&self) -> Vec<String> {
        let counts = [
            (self.duplicated, "duplicated"),
            (self.reordered, "reordered"),
            (self.unexplained, "unexplained"),
        ];
        told(counts)
    }
}

/// What there is any of, how often and what.
pub(crate) fn told(counts: impl IntoIterator<Item = (u64, &'static str)>) -> Vec<String> {
    let found = counts.into_iter().filter(|(count, _)| *count > 0);
    found
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}

/// One list as it is in the end, and what is known of it.
#[derive(Default)]
struct List<'a> {
    /// Where each value stands, the first time.
    positions: BTreeMap<&'a str, usize>,
    /// Values that are known to be there since a moment: their place, by that moment, only what moves the place up.
    known: BTreeMap<Micros, usize>,
}

impl List<'_> {
    /// The value at `position` was there at `at`.
    fn learn(&mut self, at: Micros, position: usize) {
        let furthest = self.known_before(at + 1);
        if furthest.is_none_or(|furthest| furthest < position) {
            self.known.insert(at, position);
            let overtaken: Vec<Micros> = self
                .known
                .range(at + 1..)
                .take_while(|(_, later)| **later <= position)
                .map(|(later, _)| *later)
                .collect();
            for later in overtaken {
                self.known.remove(&later);
            }
        }
    }

    /// The furthest place known to be taken before this moment.
    fn known_before(&self, at: Micros) -> Option<usize> {
        self.known.range(..at).next_back().map(|(_, place)| *place)
    }
}

/// Compares what clients were told with what is there in the end.
#[must_use]
pub fn check(history: &[Record], finals: &Finals) -> Verdict {
    let mut verdict = Verdict::default();
    let mut lists: BTreeMap<&str, List<'_>> = BTreeMap::new();
    for (key, values) in finals {
        let list = lists.entry(key).or_default();
        for (position, value) in values.iter().enumerate() {
            if list.positions.contains_key(value.as_str()) {
                verdict.duplicated += 1;
            } else {
                list.positions.insert(value, position);
            }
        }
    }
    let writes: Vec<&Write> = history.iter().filter_map(Record::write).collect();
    for write in &writes {
        judge_write(write, &mut lists, &mut verdict);
    }
    verdict.unexplained = unexplained(&writes, &lists);
    verdict.reordered = reordered(&writes, &lists);
    // What a read shows is known to those that begin later.
    let mut reads: Vec<&Read> = history.iter().filter_map(Record::read).collect();
    reads.sort_by_key(|read| read.ended);
    for read in &reads {
        if let Some(list) = lists.get_mut(read.key.as_str())
            && let Some(position) = place(list, read)
        {
            list.learn(read.ended, position);
        }
    }
    for read in reads {
        judge_read(read, &lists, &mut verdict);
    }
    verdict
}

fn judge_write<'a>(write: &Write, lists: &mut BTreeMap<&'a str, List<'a>>, verdict: &mut Verdict) {
    let list = lists.get_mut(write.key.as_str());
    let kept = list.and_then(|list| {
        let position = *list.positions.get(write.value.as_str())?;
        if write.outcome == Outcome::Acknowledged {
            list.learn(write.ended, position);
        }
        Some(position)
    });
    let error = match &write.outcome {
        Outcome::Acknowledged => {
            verdict.acknowledged += 1;
            if kept.is_none() {
                verdict.lost += 1;
                *verdict.lost_by_path.entry(write.path.clone()).or_default() += 1;
            }
            return;
        }
        Outcome::Refused(code) => {
            verdict.refused += 1;
            code
        }
        Outcome::Unknown(code) => {
            verdict.unknown += 1;
            verdict.unknown_kept += u64::from(kept.is_some());
            code
        }
    };
    *verdict.errors.entry(error.clone()).or_default() += 1;
}

/// Values that are there and were written by nobody who could have succeeded.
fn unexplained(writes: &[&Write], lists: &BTreeMap<&str, List<'_>>) -> u64 {
    let explained: BTreeSet<(&str, &str)> = writes
        .iter()
        .filter(|write| !matches!(write.outcome, Outcome::Refused(_)))
        .map(|write| (write.key.as_str(), write.value.as_str()))
        .collect();
    let values = lists
        .iter()
        .flat_map(|(key, list)| list.positions.keys().map(move |value| (*key, *value)));
    let without = values.filter(|value| !explained.contains(value)).count();
    without as u64
}

/// Acknowledged values that had ended before one that stands ahead of them began.
fn reordered(writes: &[&Write], lists: &BTreeMap<&str, List<'_>>) -> u64 {
    let times: BTreeMap<(&str, &str), (Micros, Micros)> = writes
        .iter()
        .filter(|write| write.outcome == Outcome::Acknowledged)
        .map(|write| {
            let name = (write.key.as_str(), write.value.as_str());
            (name, (write.started, write.ended))
        })
        .collect();
    let mut count = 0;
    for (key, list) in lists {
        let mut values: Vec<_> = list.positions.iter().collect();
        values.sort_unstable_by_key(|(_, position)| **position);
        let mut latest_start = 0;
        for (value, _) in values {
            if let Some((started, ended)) = times.get(&(*key, *value)) {
                count += u64::from(*ended < latest_start);
                latest_start = latest_start.max(*started);
            }
        }
    }
    count
}

fn judge_read(read: &Read, lists: &BTreeMap<&str, List<'_>>, verdict: &mut Verdict) {
    verdict.reads += 1;
    let list = lists.get(read.key.as_str());
    let position = list.and_then(|list| place(list, read));
    if read.value.is_some() && position.is_none() {
        verdict.vanished += 1;
        return;
    }
    let known = list.and_then(|list| list.known_before(read.started));
    // `None`, an empty list, is before every place.
    if known > position {
        *verdict.stale.entry(read.reader.clone()).or_default() += 1;
    }
}

fn place(list: &List<'_>, read: &Read) -> Option<usize> {
    list.positions.get(read.value.as_deref()?).copied()
}

impl Record {
    fn write(&self) -> Option<&Write> {
        match self {
            Self::Write(write) => Some(write),
            Self::Read(_) => None,
        }
    }

    fn read(&self) -> Option<&Read> {
        match self {
            Self::Read(read) => Some(read),
            Self::Write(_) => None,
        }
    }
}
