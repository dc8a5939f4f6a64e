//! Failures 1, 8, 16: what clients of two languages see of a failover, and what became of what they were told.

use anyhow::ensure;

use super::Scenario;
use crate::bus::{Bus, small};
use crate::faults::Fault;
use crate::lab::Lab;
use crate::{load, trial};

pub const SCENARIO: Scenario = Scenario {
    name: "failover_history",
    proves: "under load by two stock clients, through the Service and through Sentinel, a killed server and a killed pod leave no duplicated or reordered value, after the kill none that is stale through Sentinel, and never two servers that take writes",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(&lab, &namespace, "bus", small(load::granted())?).await?;
    for (name, fault) in [("kill", Fault::Kill), ("force", Fault::ForceDelete)] {
        let trial = trial::run(&bus, name, fault, trial::USUAL).await?;
        lab.note(format_args!("{name}: {trial}"));
        let never = trial.verdict.impossible();
        ensure!(never.is_empty(), "{name}: {never:?}");
        // Whoever is still connected to a former primary that lives, or is led there by the Service until each node's proxy
        // has heard, reads what a replica has. Nobody is connected to one that has died.
        let stale = trial.verdict.stale.keys();
        let mut through_sentinel = stale.filter(|reader| reader.starts_with("sentinel"));
        ensure!(
            !matches!(fault, Fault::Kill) || through_sentinel.next().is_none(),
            "{name}: stale reads through Sentinel: {:?}",
            trial.verdict.stale
        );
        // Both leave a server that is dead before another leads.
        ensure!(
            trial.two_primaries_ms == 0,
            "{name}: two servers took writes for {} ms",
            trial.two_primaries_ms
        );
        ensure!(
            trial.verdict.acknowledged > 0 && trial.verdict.reads > 0,
            "{name}: the clients did nothing"
        );
    }
    Ok(())
}
