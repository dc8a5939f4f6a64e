//! The client for Python, and the function library by it, against supported engines.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::command::Cmd;
use crate::lab::{self, ENGINES, Home, Lab};
use crate::pip;
use crate::progress::{note, step};
use crate::workspace;

use super::{Turn, Unchecked};

const CLIENT: &str = "clients/python";

/// Linted by the client's rules, seen from the client.
const EXAMPLE: &str = "../../examples/services";

/// Names exact versions.
const REQUIREMENTS: &str = "requirements.txt";

/// Tests mostly wait for servers of their own; more at once, and some of them wait in vain on a small machine.
const AT_ONCE: &str = "4";

pub(super) fn check(turn: Turn) -> anyhow::Result<Unchecked> {
    let client = workspace::root().join(CLIENT);
    let Some(python) = installed(&client)? else {
        note("   its packages cannot be fetched from here");
        return Ok(Some("the Python client"));
    };
    let run = |module: &str| {
        Cmd::new(&python)
            // Nothing is left in the source.
            .args(["-B", "-m", module])
            .dir(&client)
    };
    step("linting the client and the example", || {
        run("ruff")
            .args(["check", "--quiet", "--no-cache", ".", EXAMPLE])
            .run()?;
        run("ruff")
            .args(["format", "--quiet", "--no-cache", "--check", ".", EXAMPLE])
            .run()
    })?;
    step("checking types", || {
        run("mypy").args(["--cache-dir", "/dev/null"]).run()
    })?;
    let lab = Lab::open(None)?;
    lab.build()?;
    let postgres = lab.postgres()?;
    let images: Vec<&str> = ENGINES
        .iter()
        .enumerate()
        .filter(|(place, _)| turn.is_of(*place, ENGINES.len()))
        .map(|(_, engine)| engine.image(lab.source()))
        .collect();
    step(
        format_args!("testing against {}", images.join(", ")),
        || {
            run("pytest")
                .args(["--quiet", "-p", "no:cacheprovider"])
                .args(["--numprocesses", AT_ONCE, "--dist", "worksteal"])
                .env("CACHEBUS_TEST_IMAGES", images.join(" "))
                .env("CACHEBUS_TEST_POSTGRES_IMAGE", postgres)
                .stream()
        },
    )?;
    Ok(None)
}

/// An environment with the pinned packages, beside the lab's other programs, made when it is missing. `None`: the packages cannot
/// be had.
fn installed(client: &Path) -> anyhow::Result<Option<PathBuf>> {
    let pinned = client.join(REQUIREMENTS);
    let text =
        fs::read_to_string(&pinned).with_context(|| format!("cannot read {}", pinned.display()))?;
    lab::needs_python()?;
    let version = Cmd::new("python3").arg("--version").output()?;
    let home = Home::locate()?;
    let name = format!("python-{}", lab::fingerprint([text.as_str(), &version]));
    let environment = home.root().join("tools").join(name);
    let python = environment.join("bin/python");
    // Written last: an interrupted installation is begun anew.
    let whole = environment.join("whole");
    if !whole.exists() {
        let _lock = home.lock()?;
        let fetched = step("installing what the Python tests need", || {
            let python = pip::environment(&environment)?;
            Ok(pip::install(&python, &pinned).succeeds())
        })?;
        if !fetched {
            return Ok(None);
        }
        fs::write(&whole, "").with_context(|| format!("cannot write {}", whole.display()))?;
    }
    Ok(Some(python))
}
