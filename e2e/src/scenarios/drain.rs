//! Drains and reboots, one node after another, under load.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use cachebus_e2e::history::{check, gaps};
use serde_json::{Value, json};

use super::Scenario;
use crate::bus::{Bus, merge, small};
use crate::faults::{self, Fault};
use crate::lab::Lab;
use crate::load::{self, Load};
use crate::watch::{Watch, never_two};
use crate::{drain, trial};

/// Time for a bus to be whole again.
const WHOLE: Duration = Duration::from_mins(4);

/// Reboots in the long form, each of the node that has the primary.
const REBOOTS: usize = 2;

pub const SCENARIO: Scenario = Scenario {
    name: "drain",
    proves: "each node drained in turn under load by two stock clients: budgets let one pod go at a time, the primary hands over, no acknowledged write is lost and never two take writes; with `--long` the primary's node then loses its power, twice, and the bus comes back by itself",
    alone: true,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

/// A pod of each component on each node of the lab, its control plane included.
pub(super) fn everywhere(mut changes: Value) -> Value {
    let tolerations =
        json!([{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]);
    merge(&mut changes, json!({"pods": {"tolerations": tolerations}}));
    changes
}

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let mut spec = everywhere(load::granted());
    merge(&mut spec, json!({"pods": {"spread": "Required"}}));
    let bus = Bus::ready(&lab, &namespace, "bus", small(spec)?).await?;
    let nodes = drain::nodes(&lab.client).await?;
    drained(&lab, &bus, &nodes).await?;
    for number in 0..if lab.long { REBOOTS } else { 0 } {
        let name = format!("reboot{number}");
        let trial = trial::run(&bus, &name, Fault::Reboot, trial::USUAL).await?;
        lab.note(format_args!("{name}: {trial}"));
        let never = trial.verdict.impossible();
        ensure!(never.is_empty(), "{name}: {never:?}");
        ensure!(
            trial.two_primaries_ms == 0,
            "{name}: two servers took writes"
        );
    }
    Ok(())
}

async fn drained(lab: &Lab, bus: &Bus, nodes: &[String]) -> anyhow::Result<()> {
    let load = Load::start(bus, "drain", trial::USUAL, None).await?;
    let watch = Watch::start(bus);
    let mut primaries = BTreeSet::from([bus.primary().await?]);
    for node in nodes {
        let evicted = drain::drain(bus, node).await?;
        ensure!(evicted > 0, "no pod of the bus was on {node}");
        let primary = faults::healthy(bus, WHOLE).await?;
        lab.note(format_args!(
            "{node} drained of {evicted} pods, {primary} leads"
        ));
        primaries.insert(primary);
    }
    let seen = watch.seen();
    let history = load.stop().await?;
    let verdict = check(&history, &load::finals(bus, "drain").await?);
    let gaps = gaps(&history);
    let gaps: Vec<String> = gaps
        .iter()
        .map(|(path, gap)| format!("{path} {} ms", gap.ms()))
        .collect();
    lab.note(format_args!(
        "{} acknowledged, {} lost, longest gaps {}, errors {:?}",
        verdict.acknowledged,
        verdict.lost,
        gaps.join(", "),
        verdict.errors
    ));
    let never = verdict.impossible();
    ensure!(never.is_empty(), "{never:?}");
    ensure!(
        verdict.acknowledged > 0 && verdict.lost == 0,
        "lost: {}",
        verdict.lost
    );
    ensure!(primaries.len() > 1, "the primary was never drained");
    never_two(&seen)
}
