//! What failovers cost, measured: `cachebus-e2e bench failover`.

mod summary;

use std::io::Write as _;

use anyhow::Context as _;
use clap::ValueEnum as _;
use serde_json::{Value, json};

use crate::bus::{self, Bus};
use crate::faults::Fault;
use crate::lab::Lab;
use crate::load::Style;
use crate::trial::{self, Trial};
use crate::{diagnose, load};
use summary::Summary;

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How often each action is done.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Only this action; may be given again.
    #[arg(long, value_name = "ACTION")]
    action: Vec<Fault>,
    /// Writes count as acknowledged once so many replicas have them (`WAIT`).
    #[arg(long, default_value_t = 0, value_name = "REPLICAS")]
    confirm: u32,
    /// How the result is printed.
    #[arg(long, default_value = "markdown")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table, one line for each action.
    Markdown,
    /// All runs, one line of JSON for each action.
    Json,
}

/// A bus of three data pods and three Sentinels, one of each on each node. The control plane is one of three nodes of the lab.
pub fn spec() -> Value {
    let mut spec = json!({
        "memory": {"max": "96Mi"},
        "resources": {"limits": {"memory": "256Mi"}},
        "storage": {"size": "256Mi"},
        "sentinel": {"downAfter": "5s"},
        "pods": {
            "spread": "Required",
            "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
        },
    });
    bus::merge(&mut spec, load::granted());
    spec
}

/// Does each action so many times, with full health between; prints what it cost. Whether no run failed and none showed
/// what must never be.
pub async fn run(lab: &Lab, options: &Options) -> anyhow::Result<bool> {
    let lab = lab.of("bench");
    let result = measure(&lab, options).await;
    if result.is_err() {
        diagnose::dump(&lab).await;
    }
    lab.clean_up().await?;
    result
}

async fn measure(lab: &Lab, options: &Options) -> anyhow::Result<bool> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(lab, &namespace, "bus", bus::small(spec())?).await?;
    let mut fine = true;
    let mut summaries = Vec::new();
    let style = Style {
        confirm: options.confirm,
        confirm_python: options.confirm,
        ..trial::USUAL
    };
    let actions = match options.action.as_slice() {
        [] => Fault::value_variants(),
        chosen => chosen,
    };
    for action in actions {
        let mut trials = Vec::new();
        for number in 1..=options.runs {
            let name = format!("{}{number}", word(*action));
            let trial = trial::run(&bus, &name, *action, style)
                .await
                .with_context(|| format!("run {number} of {}", word(*action)))?;
            progress(&name, &trial)?;
            fine &= trial.verdict.impossible().is_empty();
            trials.push(trial);
        }
        let summary = Summary::of(&word(*action), trials);
        match options.format {
            Format::Json => say(&serde_json::to_string(&summary)?)?,
            Format::Markdown => summaries.push(summary),
        }
    }
    if options.format == Format::Markdown {
        say(&summary::markdown(&summaries))?;
    }
    Ok(fine)
}

fn word(action: Fault) -> String {
    action
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

/// Results go where they can be kept; what is on the way does not.
fn progress(name: &str, trial: &Trial) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "{name}: {trial}")?;
    Ok(())
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}
