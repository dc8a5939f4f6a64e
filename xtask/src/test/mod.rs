//! Everything that has to hold before a change is kept: `cargo xtask test`.

mod cargo_targets;
mod charts;
mod deny;
mod e2e;
mod engines;
mod example;
mod model;
mod mutations;
mod purity;
mod python;
mod recovery;

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::ValueEnum as _;
use clap::builder::PossibleValue;

use crate::demo;
use crate::image::cargo;
use crate::lab;
use crate::progress::{note, seconds};

/// One part of the checks. None depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The source is formatted.
    Fmt,
    /// No lint complains.
    Clippy,
    /// Licences, sources and duplicates of dependencies; advisories when they can be fetched.
    Deny,
    /// Unit, property and snapshot tests.
    Unit,
    /// What speaks to an engine, against every supported one; the Rust client, by turns, against one.
    Engines,
    /// The client for Python and the function library, by turns against one of the supported engines.
    Python,
    /// The pure crate depends on nothing that could do I/O, tell the time or draw lots.
    Purity,
    /// Generated files are what the source says.
    Generated,
    /// The charts render, and refuse wrong values.
    Charts,
    /// Scenarios on a real cluster.
    E2e,
    /// A million histories of the model; with `--long`, or named.
    Model,
    /// Each safety rule, broken on purpose, is missed by a test; with `--long`, or named.
    Mutations,
    /// The lab comes up from whatever it was left with; with `--long`, or named.
    Recovery,
    /// The worked example does what its README says; with `--long`, or named.
    Example,
    /// The demo shows what it is to show, and takes itself away; with `--long`, or named.
    Demo,
}

impl Part {
    fn takes_long(self) -> bool {
        matches!(
            self,
            Self::Model | Self::Mutations | Self::Recovery | Self::Example | Self::Demo
        )
    }
}

/// What to test.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// Also the matrices that take long.
    #[arg(long)]
    pub long: bool,
    /// Only this part; may be given again.
    #[arg(long, value_name = "PART")]
    pub only: Vec<Part>,
    /// Only this end-to-end scenario; may be given again.
    #[arg(long, value_name = "SCENARIO")]
    pub scenario: Vec<String>,
    /// Chooses what the short form leaves out, as a run before it did that printed this seed. By default the time.
    #[arg(long, env = SEED, value_name = "N")]
    pub seed: Option<u64>,
    /// Only names the parts.
    #[arg(long)]
    pub list: bool,
}

/// Holds [`Options::seed`], for the program of scenarios and for tests beside an engine, too.
const SEED: &str = "CACHEBUS_TEST_SEED";

/// Of some like things that are tested by turns, whose turn it is; `None`: all have it, in the long form.
#[derive(Clone, Copy, Debug)]
struct Turn(Option<u64>);

impl Turn {
    fn is_of(self, place: usize, of: usize) -> bool {
        self.0.is_none_or(|seed| seed % of as u64 == place as u64)
    }
}

impl Options {
    /// Without choice all parts; one that names scenarios alone means the part they are in.
    fn parts(&self) -> Vec<Part> {
        if !self.only.is_empty() {
            self.only.clone()
        } else if !self.scenario.is_empty() {
            vec![Part::E2e]
        } else {
            let mut parts = Part::value_variants().to_vec();
            parts.retain(|part| self.long || !part.takes_long());
            parts
        }
    }
}

/// How a part ended.
struct Outcome {
    part: Part,
    /// Whether it passed, and what of it was not checked all the same.
    result: Result<Unchecked, ()>,
    took: Duration,
}

/// What a part that passed could not check here.
type Unchecked = Option<&'static str>;

/// Runs the parts, all of them even when one fails, and prints what came of it; whether all passed.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    if options.list {
        return list().map(|()| true);
    }
    lab::make_room()?;
    let seed = match options.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    note(format_args!("seed {seed}"));
    let mut outcomes = Vec::new();
    for part in options.parts() {
        note(format_args!("\n== {}", name(part)));
        let started = Instant::now();
        let result = run_part(part, options, seed);
        let outcome = Outcome {
            part,
            result: result.map_err(|error| note(format_args!("{error:#}"))),
            took: started.elapsed(),
        };
        note(format_args!("== {}", line(&outcome)));
        outcomes.push(outcome);
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .count();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout)?;
    for outcome in &outcomes {
        writeln!(stdout, "{}", line(outcome))?;
    }
    writeln!(
        stdout,
        "{} passed, {failed} failed",
        outcomes.len() - failed
    )?;
    Ok(failed == 0)
}

fn run_part(part: Part, options: &Options, seed: u64) -> anyhow::Result<Unchecked> {
    let turn = Turn((!options.long).then_some(seed));
    let all = match part {
        Part::Fmt => cargo().args(["fmt", "--all", "--check"]).stream(),
        Part::Clippy => cargo()
            .args(["clippy", "--quiet", "--workspace", "--all-targets"])
            .args(["--features", cargo_targets::FEATURES])
            .args(["--features", "cachebus-operator/fault-points"])
            .args(["--", "--deny", "warnings"])
            .stream(),
        Part::Deny => return deny::check(),
        Part::Unit => cargo_targets::run_anywhere(),
        Part::Engines => engines::check(turn, seed),
        Part::Python => return python::check(turn),
        Part::Purity => purity::check(),
        Part::Generated => generate(true),
        Part::Charts => charts::check(),
        Part::E2e => e2e::check(options, seed),
        Part::Model => model::check(),
        Part::Mutations => mutations::check(),
        Part::Recovery => recovery::check(),
        Part::Example => return example::check(),
        Part::Demo => demo::run().and_then(|()| demo::remove()),
    };
    all.map(|()| None)
}

/// Writes, or with `check` compares, the files that are made from the source.
pub fn generate(check: bool) -> anyhow::Result<()> {
    cargo()
        .args(["run", "--quiet", "--package", "xtask", "--bin", "generate"])
        .args(["--features", "generate", "--"])
        .args(check.then_some("--check"))
        .stream()
}

fn list() -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    for part in Part::value_variants() {
        let about = part.to_possible_value();
        let about = about.as_ref().and_then(PossibleValue::get_help);
        writeln!(
            stdout,
            "{:<10} {}",
            name(*part),
            about.map(ToString::to_string).unwrap_or_default()
        )?;
    }
    Ok(())
}

fn name(part: Part) -> String {
    part.to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

fn line(outcome: &Outcome) -> String {
    let result = match outcome.result {
        Ok(None) => "passed".to_owned(),
        Ok(Some(unchecked)) => format!("passed, {unchecked} not checked"),
        Err(()) => "FAILED".to_owned(),
    };
    format!(
        "{:<10} {result}  {:>12}",
        name(outcome.part),
        seconds(outcome.took)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_could_not_check_everything_says_so() {
        let line = |result| {
            line(&Outcome {
                part: Part::Deny,
                result,
                took: Duration::from_secs(3),
            })
        };
        let partly = line(Ok(Some("advisories")));
        assert!(
            partly.contains("passed, advisories not checked"),
            "{partly}"
        );
        assert!(!line(Ok(None)).contains("not checked"));
        assert!(line(Err(())).contains("FAILED"));
    }

    #[test]
    fn naming_a_scenario_means_the_cluster_tests_alone() {
        let options = Options {
            scenario: vec!["bindings".to_owned()],
            ..Options::default()
        };
        assert_eq!(options.parts(), [Part::E2e]);
    }

    #[test]
    fn what_takes_long_runs_when_it_is_asked_for() {
        let usual = Options::default().parts();
        assert!(!usual.into_iter().any(Part::takes_long));
        let long = Options {
            long: true,
            ..Options::default()
        };
        assert_eq!(long.parts(), Part::value_variants());
        let named = Options {
            only: vec![Part::Recovery],
            ..Options::default()
        };
        assert_eq!(named.parts(), [Part::Recovery]);
    }
}
