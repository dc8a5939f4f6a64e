//! Many runs of one action in a few figures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::trial::Trial;

/// The paths of the table, in its order.
const PATHS: [&str; 4] = [
    "sentinel/rust",
    "sentinel/python",
    "service/rust",
    "service/python",
];

/// What the runs of one action have cost.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    action: String,
    /// Milliseconds without an acknowledged write, by path.
    gaps: BTreeMap<String, Spread>,
    lost: Spread,
    stale: Spread,
    two_primaries_ms: Spread,
    whole_after_ms: Spread,
    /// What the bus itself said of the gap, where it said something.
    reported_gap_ms: Option<Spread>,
    /// Attempts without acknowledgement of all runs, by code.
    errors: BTreeMap<String, u64>,
    /// What must never be, of all runs.
    impossible: BTreeSet<String>,
    runs: Vec<Trial>,
}

/// The middle one and the worst of some figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Spread {
    median: u64,
    worst: u64,
}

impl Spread {
    fn of(figures: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut figures: Vec<u64> = figures.into_iter().collect();
        figures.sort_unstable();
        let worst = *figures.last()?;
        let middle = figures.len() / 2;
        let median = if figures.len().is_multiple_of(2) {
            u64::midpoint(figures[middle - 1], figures[middle])
        } else {
            figures[middle]
        };
        Some(Self { median, worst })
    }

    fn cell(&self) -> String {
        format!("{} / {}", self.median, self.worst)
    }
}

impl Summary {
    /// Of an action's runs.
    pub fn of(action: &str, runs: Vec<Trial>) -> Self {
        let of =
            |figure: fn(&Trial) -> u64| Spread::of(runs.iter().map(figure)).unwrap_or_default();
        let reported = runs.iter().filter_map(|run| run.reported_gap_ms);
        let mut gaps: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut errors = BTreeMap::new();
        for run in &runs {
            for (path, gap) in &run.gaps {
                gaps.entry(path.clone()).or_default().push(gap.ms());
            }
            for (code, count) in &run.verdict.errors {
                *errors.entry(code.clone()).or_default() += count;
            }
        }
        Self {
            action: action.to_owned(),
            gaps: gaps
                .into_iter()
                .filter_map(|(path, gaps)| Some((path, Spread::of(gaps)?)))
                .collect(),
            lost: of(|run| run.verdict.lost),
            stale: of(|run| run.verdict.stale_reads()),
            two_primaries_ms: of(|run| run.two_primaries_ms),
            whole_after_ms: of(|run| run.whole_after_ms),
            reported_gap_ms: Spread::of(reported),
            errors,
            impossible: runs
                .iter()
                .flat_map(|run| run.verdict.impossible())
                .collect(),
            runs,
        }
    }

    fn line(&self) -> String {
        let gaps = PATHS.map(|path| self.gaps.get(path).map_or("–".to_owned(), Spread::cell));
        let errors = self.errors.iter();
        let errors: Vec<String> = errors
            .map(|(code, count)| format!("{code} {count}"))
            .collect();
        let never: Vec<&str> = self.impossible.iter().map(String::as_str).collect();
        let never = if never.is_empty() {
            "none".to_owned()
        } else {
            never.join(", ")
        };
        let reported = self.reported_gap_ms.as_ref().map(Spread::cell);
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.action,
            self.runs.len(),
            gaps.join(" | "),
            self.lost.cell(),
            self.stale.cell(),
            self.two_primaries_ms.cell(),
            reported.as_deref().unwrap_or("–"),
            self.whole_after_ms.cell(),
            never,
            errors.join(", "),
        )
    }
}

/// A table, one line for each action. Each figure: the median and the worst.
pub fn markdown(summaries: &[Summary]) -> String {
    let mut table = "| action | runs | gap through Sentinel, Rust | Python | through the Service, Rust | Python | lost | stale reads \
                     | two primaries | `writeGapMs` | whole again | duplicated, reordered, unexplained | errors of all runs |\n\
                     | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for summary in summaries {
        let _ = writeln!(table, "{}", summary.line());
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use cachebus_e2e::history::{Gap, Verdict};

    fn trial(gap_ms: u64, lost: u64) -> Trial {
        let gap = Gap {
            from: 0,
            to: gap_ms * 1000,
        };
        Trial {
            from: "bus-redis-0".to_owned(),
            to: "bus-redis-1".to_owned(),
            verdict: Verdict {
                lost,
                errors: BTreeMap::from([("READONLY".to_owned(), 1)]),
                ..Verdict::default()
            },
            gaps: BTreeMap::from([("sentinel/rust".to_owned(), gap)]),
            two_primaries_ms: 0,
            whole_after_ms: 1000,
            reported_gap_ms: None,
        }
    }

    #[test]
    fn the_median_is_the_middle_one_and_the_worst_the_largest() {
        let spread = Spread::of([9, 1, 2]).unwrap();
        assert_eq!(spread.cell(), "2 / 9");
        assert_eq!(Spread::of([4, 1]).unwrap().cell(), "2 / 4");
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_line_has_a_cell_for_each_heading() {
        let summary = Summary::of("kill", vec![trial(100, 0), trial(300, 2)]);
        let table = markdown(&[summary]);
        let mut lines = table.lines();
        let cells = |line: Option<&str>| line.unwrap().matches('|').count();
        assert_eq!(cells(lines.next()), cells(lines.nth(1)));
        assert!(table.contains(
            "| kill | 2 | 200 / 300 | – | – | – | 1 / 2 | 0 / 0 | 0 / 0 | – | 1000 / 1000 | none | READONLY 2 |"
        ));
    }
}
