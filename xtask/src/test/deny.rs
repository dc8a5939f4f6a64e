//! Dependencies: licences, sources, duplicates, and known vulnerabilities.

use std::path::PathBuf;
use std::time::Duration;

use crate::command::Cmd;
use crate::image::cargo;
use crate::lab::Home;
use crate::progress::{note, step};

use super::Unchecked;

const CARGO_DENY: &str = "0.20.2";

/// How long the database of advisories may take to arrive.
const FETCH_LIMIT: Duration = Duration::from_mins(1);

pub(super) fn check() -> anyhow::Result<Unchecked> {
    let deny = installed()?;
    let deny = |limit: Option<Duration>| {
        let cmd = match limit {
            Some(limit) => Cmd::limited(&deny, limit),
            None => Cmd::new(&deny),
        };
        cmd.dir(&crate::workspace::root())
    };
    deny(None)
        .args([
            "--log-level",
            "error",
            "check",
            "bans",
            "licenses",
            "sources",
        ])
        .stream()?;
    if deny(Some(FETCH_LIMIT)).args(["fetch", "db"]).succeeds() {
        deny(None)
            .args([
                "--log-level",
                "error",
                "check",
                "--disable-fetch",
                "advisories",
            ])
            .stream()?;
        Ok(None)
    } else {
        note("   the database of advisories cannot be fetched from here");
        Ok(Some("advisories"))
    }
}

/// The pinned version, installed beside the lab's other programs when it is missing.
fn installed() -> anyhow::Result<PathBuf> {
    let home = Home::locate()?;
    let root = home.root().join(format!("tools/cargo-deny-{CARGO_DENY}"));
    let program = root.join("bin/cargo-deny");
    if !program.exists() {
        let _lock = home.lock()?;
        step(format_args!("building cargo-deny {CARGO_DENY}"), || {
            cargo()
                .args([
                    "install",
                    "cargo-deny",
                    "--locked",
                    "--quiet",
                    "--version",
                    CARGO_DENY,
                ])
                .arg("--root")
                .arg(&root)
                .run()
        })?;
    }
    Ok(program)
}
