//! Packages of Python, by the `pip` of an environment: Debian's Python has none of its own.

use std::path::{Path, PathBuf};

use crate::command::Cmd;
use crate::lab;

/// Makes an environment in this folder, and empties one that is there; its `python`.
pub(crate) fn environment(folder: &Path) -> anyhow::Result<PathBuf> {
    lab::needs_python()?;
    Cmd::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(folder)
        .run()?;
    Ok(folder.join("bin/python"))
}

/// What fetches and installs the exact versions that a file names, and nothing besides.
pub(crate) fn install(python: &Path, requirements: &Path) -> Cmd {
    Cmd::new(python)
        .args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .arg("--requirement")
        .arg(requirements)
}
