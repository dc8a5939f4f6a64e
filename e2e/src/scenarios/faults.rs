//! Some faults of the catalogue, chosen by the run's seed; with `--long` all of them.

use anyhow::ensure;

use super::Scenario;
use crate::chaos::{self, list};
use crate::lab::Lab;

/// How many of them the short form takes.
const SHORT: usize = 2;

pub const SCENARIO: Scenario = Scenario {
    name: "faults",
    proves: "whatever of the catalogue befalls a bus under load, it ends Healthy with no hand, loses no more than was promised, duplicates and reorders nothing, and never has two primaries beyond the fencing window",
    alone: true,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let mut faults = chaos::all();
    if !lab.long {
        // Those that take longest are for the long form, and so are those that no row shows to be survived.
        let survived = list::survived()?;
        faults.retain(|fault| !fault.slow && survived.contains(fault.name));
        let first = usize::try_from(lab.seed)? % faults.len();
        faults.rotate_left(first);
        faults = faults.into_iter().step_by(9).take(SHORT).collect();
    }
    let broken = Box::pin(list::each(&lab, &faults, lab.seed, |_| Ok(()))).await?;
    ensure!(broken.is_empty(), "seed {}: {broken:#?}", lab.seed);
    Ok(())
}
