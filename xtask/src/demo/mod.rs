//! A look at the whole: cluster, operator, a bus, two services that use it, and a tour of what was made.

mod ready;
mod services;
mod tour;

use std::time::Instant;

use crate::image;
use crate::install;
use crate::lab::{self, Lab};
use crate::progress::{note, seconds, step};
use crate::workspace;

/// The bus of the demo.
const SAMPLE: &str = "config/samples/platform.yaml";
/// Where the sample puts it.
pub(crate) const NAMESPACE: &str = "data";
/// What the sample calls it.
pub(crate) const BUS: &str = "platform";

/// Brings everything up and shows it. What is there already is used.
pub fn run() -> anyhow::Result<()> {
    let started = Instant::now();
    let lab = Lab::open(None)?;
    lab.up()?;
    image::build_and_load(&lab, image::Profile::Lab)?;
    install::install(&lab)?;
    let applied = Instant::now();
    step(format_args!("applying {SAMPLE}"), || {
        lab.kubectl()
            .args(["apply", "--filename"])
            .arg(workspace::root().join(SAMPLE))
            .run()
    })?;
    ready::watch(&lab, applied)?;
    services::start(&lab)?;
    tour::print(&lab)?;
    note(format_args!(
        "\nall of it took {}",
        seconds(started.elapsed())
    ));
    Ok(())
}

/// Removes the cluster with all that the demo made, and stops the Docker Engine if the lab started it.
pub fn remove() -> anyhow::Result<()> {
    Lab::open(None)?.down()?;
    lab::stop_engine()?;
    note(format_args!(
        "what was built stays in {} for the next time",
        lab::Home::locate()?.root().display()
    ));
    Ok(())
}
