//! The worked example, as its README has it run: in a container that has a database, an engine and Python.

use crate::example;
use crate::image::{self, Profile};
use crate::lab::{Lab, docker};
use crate::pip;
use crate::progress::{note, step};
use crate::workspace;

use super::Unchecked;

/// `cachebus dev`.
const PROGRAM: &str = "cachebus";
const SAMPLE: &str = "config/samples/platform.yaml";

pub(super) fn check() -> anyhow::Result<Unchecked> {
    let lab = Lab::open(None)?;
    lab.build()?;
    let image = lab.postgres()?;
    let scratch = lab.home().scratch("example-test")?;
    let folder = scratch.path();
    step("building the example", || {
        let built = image::programs("cachebus-dev", &[PROGRAM], Profile::Lab)?;
        example::copy(&built.join(PROGRAM), &folder.join(PROGRAM))?;
        example::lay_out(folder)
    })?;
    let environment = lab.home().scratch("example-test-python")?;
    let fetched = step("installing what its Python takes", || {
        let python = pip::environment(environment.path())?;
        Ok(example::packages(&python, folder).succeeds())
    })?;
    if !fetched {
        note("   its packages cannot be fetched from here");
        return Ok(Some("the worked example"));
    }
    let printed = step("trying what it promises", || {
        docker()
            .args(["run", "--rm", "--init", "--network", "none"])
            .arg("--volume")
            .arg(format!("{}:/services:ro", folder.display()))
            .arg("--volume")
            .arg(format!(
                "{}:/platform.yaml:ro",
                workspace::root().join(SAMPLE).display()
            ))
            .args(["--env", "SERVICES_PROGRAMS=/services"])
            .args(["--env", "PYTHONPATH=/services/packages"])
            .args([
                image,
                "/services/cachebus",
                "dev",
                "--file",
                "/platform.yaml",
                "--",
            ])
            .args(["python3", "-B", "/services/run.py", "check"])
            .output()
    })?;
    // The image has no browser.
    Ok(printed
        .contains("not checked")
        .then_some("the example's page in a browser"))
}
