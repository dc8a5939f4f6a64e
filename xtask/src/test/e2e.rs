//! Scenarios on a real cluster, with images of the source as it is.

use crate::image;
use crate::install;
use crate::lab::Lab;

use super::Options;

pub(super) fn check(options: &Options) -> anyhow::Result<()> {
    let lab = Lab::open(None)?;
    lab.up()?;
    image::build_and_load(&lab)?;
    install::install(&lab)?;
    let mut run = lab
        .with_tools("cargo")
        .dir(&crate::workspace::root())
        .args([
            "run",
            "--quiet",
            "--package",
            "cachebus-e2e",
            "--bin",
            "cachebus-e2e",
            "--",
            "run",
        ]);
    if options.long {
        run = run.arg("--long");
    }
    for scenario in &options.scenario {
        run = run.args(["--only", scenario]);
    }
    run.stream()
}
