//! Packages of Python, by the `pip` of an environment: Debian's Python has none of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::command::Cmd;
use crate::lab::{self, Home};
use crate::progress::step;

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

/// The `python` of an environment with the exact versions that a file names, beside the lab's other programs, made when it is missing.
/// `None`: the packages cannot be had.
pub(crate) fn kept(requirements: &Path, what_for: &str) -> anyhow::Result<Option<PathBuf>> {
    let text = fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    lab::needs_python()?;
    let version = Cmd::new("python3").arg("--version").output()?;
    let home = Home::locate()?;
    let name = format!("python-{}", lab::fingerprint([text.as_str(), &version]));
    let folder = home.root().join("tools").join(name);
    let python = folder.join("bin/python");
    // Written last: an interrupted installation is begun anew.
    let whole = folder.join("whole");
    if !whole.exists() {
        let _lock = home.lock()?;
        let fetched = step(format_args!("installing what {what_for} need"), || {
            let python = environment(&folder)?;
            Ok(install(&python, requirements).succeeds())
        })?;
        if !fetched {
            return Ok(None);
        }
        fs::write(&whole, "").with_context(|| format!("cannot write {}", whole.display()))?;
    }
    Ok(Some(python))
}
