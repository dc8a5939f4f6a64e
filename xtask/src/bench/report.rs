//! What programs have measured, as a table for people.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// What a program prints.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Report {
    pub(super) figures: Vec<Figure>,
}

/// One thing that was measured, for all that did it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Figure {
    name: String,
    /// What the values of its rows are.
    unit: String,
    /// Ours first.
    rows: Vec<Row>,
}

/// What one way of doing it has cost.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Row {
    who: String,
    value: Option<f64>,
    /// How many times this value ours is; of rows that are not ours.
    ratio: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    aim: Option<String>,
    met: Option<bool>,
}

/// What there is nothing to say of.
const NONE: &str = "–";

impl Report {
    /// A table, one line for each row.
    pub(super) fn markdown(&self) -> String {
        let mut table = "| figure | by | value | ours ÷ theirs | P50 ms | P99 ms | aim |\n\
                         | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
        for figure in &self.figures {
            for (place, row) in figure.rows.iter().enumerate() {
                let name = if place == 0 { figure.name.as_str() } else { "" };
                let _ = writeln!(table, "| {name} | {}", row.cells(&figure.unit));
            }
        }
        table
    }

    /// What was aimed at and not reached.
    pub(super) fn missed(&self) -> impl Iterator<Item = String> {
        self.figures.iter().flat_map(|figure| {
            let missed = figure.rows.iter().filter(|row| row.met == Some(false));
            missed.map(|row| format!("{}, {}: {}", figure.name, row.who, row.aim()))
        })
    }
}

impl Row {
    fn cells(&self, unit: &str) -> String {
        let value = self.value.map(|value| format!("{} {unit}", short(value)));
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2}"));
        let time = |time: Option<f64>| time.map_or(NONE.to_owned(), |time| format!("{time:.2}"));
        let aim = match self.met {
            Some(true) => format!("{}: met", self.aim()),
            Some(false) => format!("{}: **missed**", self.aim()),
            None => NONE.to_owned(),
        };
        format!(
            "{} | {} | {} | {} | {} | {aim} |",
            self.who,
            value.as_deref().unwrap_or(NONE),
            ratio.as_deref().unwrap_or(NONE),
            time(self.p50_ms),
            time(self.p99_ms),
        )
    }

    fn aim(&self) -> &str {
        self.aim.as_deref().unwrap_or(NONE)
    }
}

/// Three digits are enough of a figure that was measured; none is left out before the point.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PRINTED: &str = r#"{"figures": [
        {"name": "Rust: get", "unit": "calls/s", "rows": [
            {"who": "cachebus", "value": 41234.5, "p50_ms": 0.912, "p99_ms": 2.345},
            {"who": "redis crate", "value": 45000.0, "ratio": 0.914, "p50_ms": null, "aim": "ours ≥ 0.9 times", "met": true}]},
        {"name": "Rust: loads", "unit": "loads", "rows": [{"who": "cachebus", "value": 2.0, "aim": "1", "met": false}]}]}"#;

    #[test]
    fn a_row_has_a_cell_for_each_heading() {
        let report: Report = serde_json::from_str(PRINTED).unwrap();
        let table = report.markdown();
        let cells = |line: &str| line.matches('|').count();
        let mut lines = table.lines().map(cells);
        let heading = lines.next().unwrap();
        assert!(lines.all(|line| line == heading), "{table}");
        for line in [
            "| Rust: get | cachebus | 41,234 calls/s | – | 0.91 | 2.35 | – |",
            "|  | redis crate | 45,000 calls/s | 0.91 | – | – | ours ≥ 0.9 times: met |",
            "| Rust: loads | cachebus | 2.00 loads | – | – | – | 1: **missed** |",
        ] {
            assert!(table.lines().any(|printed| printed == line), "{table}");
        }
    }

    #[test]
    fn what_was_missed_is_named() {
        let report: Report = serde_json::from_str(PRINTED).unwrap();
        let missed: Vec<String> = report.missed().collect();
        assert_eq!(missed, ["Rust: loads, cachebus: 1"]);
    }

    #[test]
    fn figures_have_three_digits() {
        for (value, text) in [
            (0.0, "0.00"),
            (1.234, "1.23"),
            (23.45, "23.4"),
            (123.4, "123"),
            (1_234_567.8, "1,234,568"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
