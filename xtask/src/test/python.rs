//! The client for Python, and the function library by it, against supported engines.

use crate::command::Cmd;
use crate::lab::{ENGINES, Lab};
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
    let Some(python) = pip::kept(&client.join(REQUIREMENTS), "the Python tests")? else {
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
