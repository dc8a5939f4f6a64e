//! Scenarios on a real cluster, with images of the source as it is.

use crate::cluster_program;
use crate::image::Profile;

use super::{Options, SEED};

pub(super) fn check(options: &Options, seed: u64) -> anyhow::Result<()> {
    let profile = if options.long {
        Profile::Release
    } else {
        Profile::Lab
    };
    let mut run = cluster_program::prepared(profile)?
        .arg("run")
        .env(SEED, seed.to_string());
    if options.long {
        run = run.arg("--long");
    }
    for scenario in &options.scenario {
        run = run.args(["--only", scenario]);
    }
    run.stream()
}
