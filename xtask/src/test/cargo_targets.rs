//! The workspace's tests by where they can run: anywhere, or beside an engine.

use std::path::PathBuf;

use serde::Deserialize;

use crate::command::Cmd;
use crate::image::{STATIC_TARGET, cargo};

/// The name of the test targets that need an engine's server; every other test runs anywhere.
pub(super) const BESIDE_ENGINE: &str = "engine";

/// What is checked and tested besides what is built by default.
pub(super) const FEATURES: &str =
    "xtask/generate,cachebus/macros,cachebus/outbox,cachebus/prometheus";

/// The package of scenarios: its test targets would need a cluster, the tests beside its source need none.
const SCENARIOS: &str = "cachebus-e2e";

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Unit, property, snapshot and documentation tests.
pub(super) fn run_anywhere() -> anyhow::Result<()> {
    let metadata = cargo()
        .args(["metadata", "--format-version=1", "--no-deps"])
        .output()?;
    let tests = test_targets(&serde_json::from_str(&metadata)?);
    tests_of_workspace()
        .args(["--lib", "--bins"])
        .args(tests.iter().flat_map(|test| ["--test", test]))
        // A snapshot that differs is a failure, not a file to review.
        .env("INSTA_UPDATE", "no")
        .stream()?;
    tests_of_workspace().arg("--doc").stream()
}

/// Static, as those have to be that run beside an engine, and with the same features: what the others are made of serves them, too.
fn tests_of_workspace() -> Cmd {
    cargo()
        .args(["test", "--quiet", "--workspace"])
        .args(["--features", FEATURES])
        .args(["--target", STATIC_TARGET])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
}

fn test_targets(metadata: &Metadata) -> Vec<String> {
    metadata
        .packages
        .iter()
        .filter(|package| package.name != SCENARIOS)
        .flat_map(|package| &package.targets)
        .filter(|target| target.kind.iter().any(|kind| kind == "test"))
        .map(|target| target.name.clone())
        .filter(|name| name != BESIDE_ENGINE)
        .collect()
}

/// Builds the tests that need an engine, as static programs that run in any image.
pub(super) fn build_beside_engine() -> anyhow::Result<Vec<PathBuf>> {
    let printed = tests_of_workspace()
        .args(["--no-run", "--test", BESIDE_ENGINE])
        .arg("--message-format=json-render-diagnostics")
        .output()?;
    Ok(executables(&printed))
}

/// The programs that Cargo's messages name.
fn executables(messages: &str) -> Vec<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        target: Option<Target>,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| {
            message
                .target
                .as_ref()
                .is_some_and(|target| target.name == BESIDE_ENGINE)
        })
        .filter_map(|message| message.executable)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn tests_beside_an_engine_and_scenarios_do_not_run_anywhere() {
        let metadata = serde_json::from_str(
            r#"{"packages": [
                {"name": "cachebus-admin", "targets": [
                    {"name": "engine", "kind": ["test"]},
                    {"name": "replies", "kind": ["test"]},
                    {"name": "cachebus-admin", "kind": ["lib"]}]},
                {"name": "cachebus-e2e", "targets": [{"name": "bootstrap", "kind": ["test"]}]}]}"#,
        )
        .unwrap();
        assert_eq!(test_targets(&metadata), ["replies"]);
    }

    #[test]
    fn only_programs_beside_an_engine_are_taken_from_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"engine","kind":["test"]},"executable":"/t/engine-1"}
{"reason":"compiler-artifact","target":{"name":"cachebus","kind":["bin"]},"executable":"/t/cachebus"}
{"reason":"compiler-artifact","target":{"name":"serde","kind":["lib"]},"executable":null}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executables(messages), [PathBuf::from("/t/engine-1")]);
    }
}
