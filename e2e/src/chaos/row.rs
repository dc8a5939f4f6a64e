//! What a fault did, and whether that is within what was promised.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::told::Told;
use super::{Fault, Loses, all};
use crate::trial::Trial;

/// What one fault did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The fault's name, or the names of two at once.
    pub fault: String,
    /// Milliseconds without an acknowledged write, by path.
    pub gaps_ms: BTreeMap<String, u64>,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes that a replica had confirmed and that are gone.
    pub lost_confirmed: u64,
    /// Writes that only the primary had acknowledged and that are gone.
    pub lost_unconfirmed: u64,
    /// How long two servers took writes.
    pub two_primaries_ms: u64,
    /// From the fault until all was well again.
    pub healthy_after_ms: u64,
    /// What a person saw.
    pub told: Told,
    /// What of the promises was broken.
    pub broken: Vec<String>,
}

impl Row {
    /// Of faults that befell a bus at once.
    pub fn of(faults: &[&Fault], trial: &Trial, told: Told) -> Self {
        let lost = trial.verdict.lost_by_path.iter();
        let confirmed = lost.filter(|(path, _)| path.ends_with("/rust"));
        let lost_confirmed = confirmed.map(|(_, lost)| lost).sum();
        let mut row = Self {
            fault: name(faults),
            gaps_ms: trial
                .gaps
                .iter()
                .map(|(path, gap)| (path.clone(), gap.ms()))
                .collect(),
            acknowledged: trial.verdict.acknowledged,
            lost_confirmed,
            lost_unconfirmed: trial.verdict.lost - lost_confirmed,
            two_primaries_ms: trial.two_primaries_ms,
            healthy_after_ms: trial.whole_after_ms,
            told,
            broken: trial.verdict.impossible(),
        };
        row.broken.extend(row.broken_promises(faults));
        row
    }

    fn broken_promises(&self, faults: &[&Fault]) -> Vec<String> {
        let mut broken = Vec::new();
        let loses = faults.iter().map(|fault| fault.loses).max();
        let beside = faults.iter().map(|fault| fault.beside).max();
        if self.lost_confirmed > 0 && loses != Some(Loses::ByHand) {
            broken.push(format!("{} confirmed writes lost", self.lost_confirmed));
        }
        if self.lost_unconfirmed > 0 && loses == Some(Loses::Nothing) {
            broken.push(format!("{} writes lost", self.lost_unconfirmed));
        }
        if Duration::from_millis(self.two_primaries_ms) > beside.unwrap_or_default() {
            broken.push(format!("two primaries for {} ms", self.two_primaries_ms));
        }
        // Of two at once either may hide what the other would show.
        if let [fault] = faults
            && !self.told.any_of(fault.tells)
        {
            broken.push(format!("none of {:?} was told", fault.tells));
        }
        if self.acknowledged == 0 {
            broken.push("no write was acknowledged".to_owned());
        }
        broken
    }

    /// The longest time without an acknowledged write of all clients that go this way.
    fn gap_ms(&self, way: &str) -> u64 {
        let gaps = self.gaps_ms.iter();
        let own = gaps.filter(|(path, _)| path.starts_with(way));
        own.map(|(_, gap)| *gap).max().unwrap_or_default()
    }

    fn line(&self, fault: &Fault) -> String {
        let conditions = self.told.conditions.iter();
        let mut conditions: Vec<_> = conditions.map(|(reason, ms)| (*ms, reason)).collect();
        conditions.sort_unstable();
        let conditions = conditions
            .into_iter()
            .map(|(ms, reason)| format!("`{reason}` {} s", seconds(ms)));
        let events = self.told.events.keys();
        let seen: Vec<String> = conditions
            .chain(events.map(|reason| format!("Event `{reason}`")))
            .collect();
        format!(
            "| `{}` | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.fault,
            fault.how,
            seconds(self.gap_ms("sentinel")),
            seconds(self.gap_ms("service")),
            self.lost_confirmed,
            self.lost_unconfirmed,
            seconds(self.two_primaries_ms),
            seconds(self.healthy_after_ms),
            if seen.is_empty() {
                "nothing".to_owned()
            } else {
                seen.join(", ")
            },
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: no write for {} s through Sentinel, {} s through the Service; {} acknowledged, lost {} confirmed, {} other; two primaries \
             {} s; healthy after {} s; {:?}{}{}",
            self.fault,
            seconds(self.gap_ms("sentinel")),
            seconds(self.gap_ms("service")),
            self.acknowledged,
            self.lost_confirmed,
            self.lost_unconfirmed,
            seconds(self.two_primaries_ms),
            seconds(self.healthy_after_ms),
            self.told,
            if self.broken.is_empty() {
                ""
            } else {
                "; BROKEN: "
            },
            self.broken.join(", "),
        )
    }
}

/// The names of faults at once.
pub fn name(faults: &[&Fault]) -> String {
    let names: Vec<&str> = faults.iter().map(|fault| fault.name).collect();
    names.join(" + ")
}

fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1000, ms % 1000 / 100)
}

/// The rows as a table, in the order of the catalogue.
pub fn table(rows: &[Row]) -> String {
    let mut table = "| fault | what happens | no write through Sentinel, s | through the Service, s | confirmed writes lost | other acknowledged \
                     writes lost | two primaries, s | healthy after, s | what a person sees, and after how long |\n\
                     | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for fault in all() {
        if let Some(row) = rows.iter().find(|row| row.fault == fault.name) {
            let _ = writeln!(table, "{}", row.line(fault));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn fault(name: &str) -> &'static Fault {
        all().into_iter().find(|fault| fault.name == name).unwrap()
    }

    fn row(confirmed: u64, unconfirmed: u64, two_primaries_ms: u64) -> Row {
        Row {
            fault: "crash".to_owned(),
            acknowledged: 1,
            lost_confirmed: confirmed,
            lost_unconfirmed: unconfirmed,
            two_primaries_ms,
            healthy_after_ms: 1250,
            ..Row::default()
        }
    }

    #[test]
    fn what_may_be_lost_is_what_the_fault_says() {
        let broken = |row: Row, name| !row.broken_promises(&[fault(name)]).is_empty();
        assert!(!broken(row(0, 1, 0), "crash"));
        assert!(broken(row(1, 0, 0), "crash"));
        assert!(broken(row(0, 1, 0), "crash-replica"));
        assert!(!broken(row(1, 1, 0), "typed-failover"));
    }

    #[test]
    fn two_primaries_are_a_broken_promise_but_within_the_window_of_a_cut() {
        let broken = |ms, name| !row(0, 0, ms).broken_promises(&[fault(name)]).is_empty();
        assert!(broken(1, "crash"));
        assert!(!broken(4000, "deaf"));
        assert!(broken(6000, "deaf"));
    }

    #[test]
    fn what_a_person_must_see_has_to_be_told_and_clients_have_to_write() {
        assert_eq!(
            row(0, 0, 0).broken_promises(&[fault("switchover")]).len(),
            1
        );
        let idle = Row::default().broken_promises(&[fault("crash")]);
        assert_eq!(idle, ["no write was acknowledged"]);
    }

    #[test]
    fn of_two_at_once_the_laxer_promise_holds() {
        let both = [fault("crash-replica"), fault("crash")];
        assert!(row(0, 1, 0).broken_promises(&both).is_empty());
        assert_eq!(name(&both), "crash-replica + crash");
    }

    #[test]
    fn a_line_has_a_cell_for_each_heading() {
        let table = table(&[row(0, 2, 0)]);
        let cells = |line: Option<&str>| line.unwrap().matches('|').count();
        let mut lines = table.lines();
        assert_eq!(cells(lines.next()), cells(lines.nth(1)));
        assert!(table.contains("| 0 | 2 | 0.0 | 1.2 | nothing |"));
    }
}
