//! Runs scenarios, prints what came of each.

use std::fs::File;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{FutureExt as _, StreamExt as _};
use tokio::task::JoinSet;

use crate::lab::Lab;
use crate::scenarios::{self, Scenario};
use crate::{Selection, diagnose};

/// No scenario may take longer, in its long form either.
const LIMIT: Duration = Duration::from_mins(40);

/// One in so many of the scenarios that take turns runs in the short form.
const TURNS: usize = 4;

/// The scenarios that the command line asks for: what it names, else all in the long form, else those whose turn it is.
pub fn select(selection: &Selection, seed: u64) -> anyhow::Result<Vec<&'static Scenario>> {
    for name in &selection.only {
        if !scenarios::ALL.iter().any(|scenario| scenario.name == name) {
            bail!("there is no scenario {name}; `run --list` names them");
        }
    }
    let all = scenarios::ALL.iter().copied();
    if !selection.only.is_empty() {
        let named = |scenario: &&Scenario| selection.only.iter().any(|name| name == scenario.name);
        return Ok(all.filter(named).collect());
    }
    if selection.long {
        return Ok(all.collect());
    }
    let first = usize::try_from(seed % u64::try_from(TURNS)?)?;
    let mut places = 0_usize..;
    let has_its_turn = |scenario: &&Scenario| {
        !scenario.by_turns || places.next().is_some_and(|place| place % TURNS == first)
    };
    Ok(all.filter(has_its_turn).collect())
}

/// Prints the name of each scenario and what it proves.
pub fn list() {
    for scenario in scenarios::ALL {
        let turn = if scenario.by_turns { "by turns" } else { "" };
        print(format_args!(
            "{:<16} {turn:<8} {}",
            scenario.name, scenario.proves
        ));
    }
}

/// Waits until no other run is under way: two of them would delete one another's namespaces.
pub fn lock() -> anyhow::Result<File> {
    let path = std::env::temp_dir().join("cachebus-e2e.lock");
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    if file.try_lock().is_err() {
        print(format_args!("waiting for another run to end"));
        file.lock()?;
    }
    Ok(file)
}

/// Runs the scenarios: first those that can share the operator, `jobs` at once, then one by one those that cannot.
pub async fn run(lab: &Lab, selected: Vec<&'static Scenario>, jobs: usize) -> ExitCode {
    let (alone, together): (Vec<_>, Vec<_>) =
        selected.into_iter().partition(|scenario| scenario.alone);
    let mut passed = 0;
    let mut failed = Vec::new();
    let mut left = Vec::new();
    for (scenarios, jobs) in [(together, jobs.max(1)), (alone, 1)] {
        let mut results = futures::stream::iter(scenarios)
            .map(|scenario| one(lab, scenario))
            .buffer_unordered(jobs);
        // What leaves is in nobody's way.
        let mut leaving = JoinSet::new();
        while let Some((lab, result)) = results.next().await {
            left.push(lab.clone());
            leaving.spawn(async move { told(&lab, lab.leave().await) });
            match result {
                Ok(()) => passed += 1,
                Err(failure) => failed.push(failure),
            }
        }
        while leaving.join_next().await.is_some() {}
    }
    for lab in left {
        told(&lab, lab.clean_up().await);
    }
    // Once more, below the logs of all of them.
    for failure in &failed {
        print(format_args!("{failure}"));
    }
    print(format_args!("{passed} passed, {} failed", failed.len()));
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a scenario, and leaves its namespaces behind. An error is the line that says what failed.
async fn one(lab: &Lab, scenario: &'static Scenario) -> (Lab, Result<(), String>) {
    let lab = lab.of(scenario.name);
    let began = Instant::now();
    print(format_args!("-- {}: {}", scenario.name, scenario.proves));
    // A scenario that panics is a failed scenario; the others go on.
    let run = AssertUnwindSafe((scenario.run)(lab.clone())).catch_unwind();
    let result = match tokio::time::timeout(LIMIT, run).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(anyhow::anyhow!("it panicked")),
        Err(_) => Err(anyhow::anyhow!("not done within {} s", LIMIT.as_secs())),
    };
    let seconds = began.elapsed().as_secs_f64();
    let result =
        result.map_err(|error| format!("FAILED {:<16} {seconds:6.1} s: {error:#}", scenario.name));
    match &result {
        Ok(()) => print(format_args!("ok {:<20} {seconds:6.1} s", scenario.name)),
        Err(failure) => {
            print(format_args!("{failure}"));
            diagnose::dump(&lab).await;
        }
    }
    (lab, result)
}

/// What is left behind fails no scenario: the next one that needs the place finds out.
fn told(lab: &Lab, left: anyhow::Result<()>) {
    if let Err(error) = left.context("cleaning up") {
        lab.note(format_args!("{error:#}"));
    }
}

/// Prints one line. What cannot be printed is not worth failing for.
pub fn print(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;

    fn selected(selection: &Selection, seed: u64) -> Vec<&'static str> {
        let selected = select(selection, seed).unwrap();
        selected.iter().map(|scenario| scenario.name).collect()
    }

    #[test]
    fn each_scenario_gets_its_turn() {
        let mut runs = BTreeMap::new();
        for seed in 7..7 + TURNS as u64 {
            for name in selected(&Selection::default(), seed) {
                *runs.entry(name).or_insert(0) += 1;
            }
        }
        for scenario in scenarios::ALL {
            let turns = if scenario.by_turns { 1 } else { TURNS };
            assert_eq!(runs.get(scenario.name), Some(&turns), "{}", scenario.name);
        }
    }

    #[test]
    fn the_long_form_is_all_of_them_in_order_and_a_name_that_one_alone() {
        let all: Vec<_> = scenarios::ALL
            .iter()
            .map(|scenario| scenario.name)
            .collect();
        let long = Selection {
            long: true,
            ..Selection::default()
        };
        assert_eq!(selected(&long, 1), all);
        let named = Selection {
            only: vec!["storage".to_owned()],
            ..Selection::default()
        };
        for seed in 0..TURNS as u64 {
            assert_eq!(selected(&named, seed), ["storage"]);
        }
    }
}
