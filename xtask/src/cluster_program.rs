//! The program that runs scenarios and measurements on the cluster.

use crate::command::Cmd;
use crate::image::Profile;
use crate::lab::Lab;
use crate::{image, install, workspace};

/// The program, to be given its arguments, on a cluster with an operator and clients of the source as it is.
pub fn prepared(profile: Profile) -> anyhow::Result<Cmd> {
    let lab = Lab::open(None)?;
    lab.up()?;
    image::build_and_load(&lab, profile)?;
    lab.load(&[lab.python_client()?, lab.s3_server()?])?;
    install::install(&lab)?;
    let run = lab.with_tools("cargo").dir(&workspace::root());
    let program = ["--package", "cachebus-e2e", "--bin", "cachebus-e2e"];
    Ok(run.args(["run", "--quiet"]).args(program).arg("--"))
}
