//! Scenarios on a real cluster, with images of the source as it is.

use crate::cluster_program;

use super::Options;

pub(super) fn check(options: &Options) -> anyhow::Result<()> {
    let mut run = cluster_program::prepared()?.arg("run");
    if options.long {
        run = run.arg("--long");
    }
    for scenario in &options.scenario {
        run = run.args(["--only", scenario]);
    }
    run.stream()
}
