//! What a program hands to `cargo xtask bench clients`: one line of JSON. `clients/python/bench` writes the same.

use std::io::Write as _;

use serde::Serialize;

/// One thing that was measured, for all that did it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What was done.
    pub name: String,
    /// What the values of its rows are.
    pub unit: &'static str,
    /// Ours first.
    pub rows: Vec<Row>,
}

/// What one way of doing it has cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// Who did it.
    pub who: String,
    /// In the figure's unit; absent where it has only times.
    pub value: Option<f64>,
    /// How many times this value ours is; of rows that are not ours.
    pub ratio: Option<f64>,
    /// Half of the calls took no longer, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99 of a hundred calls took no longer, in milliseconds.
    pub p99_ms: Option<f64>,
    /// What is aimed at, in words.
    pub aim: Option<String>,
    /// Whether it was reached.
    pub met: Option<bool>,
}

impl Row {
    /// A row with a value alone.
    pub fn new(who: impl Into<String>, value: f64) -> Self {
        Self {
            who: who.into(),
            value: Some(value),
            ..Self::default()
        }
    }

    /// The row with what is aimed at, and whether it was reached.
    #[must_use]
    pub fn aiming(mut self, aim: impl Into<String>, met: bool) -> Self {
        self.aim = Some(aim.into());
        self.met = Some(met);
        self
    }

    /// The row, of which ours is to be so many times or more.
    #[must_use]
    pub fn at_least(self, wanted: f64) -> Self {
        let met = self.ratio.is_some_and(|ratio| ratio >= wanted);
        self.aiming(format!("ours ≥ {wanted} times"), met)
    }

    /// The row, whose calls are to take less than so many milliseconds, but for one of a hundred.
    #[must_use]
    pub fn p99_below(self, wanted: f64) -> Self {
        let met = self.p99_ms.is_some_and(|p99| p99 < wanted);
        self.aiming(format!("P99 < {wanted} ms"), met)
    }
}

/// Writes all figures to standard output.
pub fn write(figures: &[Figure]) -> anyhow::Result<()> {
    let report = serde_json::json!({ "figures": figures });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_met_or_missed_by_its_own_figure() {
        let ratio = |ratio| Row {
            ratio,
            ..Row::new("redis crate", 1.0)
        };
        assert_eq!(ratio(Some(0.9)).at_least(0.9).met, Some(true));
        assert_eq!(ratio(Some(0.89)).at_least(0.9).met, Some(false));
        assert_eq!(ratio(None).at_least(0.9).met, Some(false));
        let slow = Row {
            p99_ms: Some(10.0),
            ..Row::default()
        };
        assert_eq!(slow.clone().p99_below(10.0).met, Some(false));
        assert_eq!(slow.p99_below(10.1).met, Some(true));
    }
}
