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

/// The folder of the client libraries.
const CLIENTS: &str = "clients";

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

/// The tests of a package that need an engine, built.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// They are a client library's.
    pub(super) of_client: bool,
}

/// Builds the tests that need an engine, as static programs that run in any image.
pub(super) fn build_beside_engine() -> anyhow::Result<Vec<Program>> {
    let printed = tests_of_workspace()
        .args(["--no-run", "--test", BESIDE_ENGINE])
        .arg("--message-format=json-render-diagnostics")
        .output()?;
    Ok(executables(&printed))
}

/// The programs that Cargo's messages name.
fn executables(messages: &str) -> Vec<Program> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        target: Option<Source>,
    }
    #[derive(Deserialize)]
    struct Source {
        name: String,
        src_path: PathBuf,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter_map(|message| message.target.zip(message.executable))
        .filter(|(target, _)| target.name == BESIDE_ENGINE)
        .map(|(target, path)| Program {
            path,
            of_client: target.src_path.iter().any(|folder| folder == CLIENTS),
        })
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
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"engine","src_path":"/w/crates/agent/tests/engine/main.rs"},"executable":"/t/engine-1"}
{"reason":"compiler-artifact","target":{"name":"engine","src_path":"/w/clients/rust/tests/engine/main.rs"},"executable":"/t/engine-2"}
{"reason":"compiler-artifact","target":{"name":"cachebus","src_path":"/w/crates/operator/src/main.rs"},"executable":"/t/cachebus"}
{"reason":"compiler-artifact","target":{"name":"serde","src_path":"/r/serde/src/lib.rs"},"executable":null}
{"reason":"build-finished","success":true}"#;
        let program = |path: &str, of_client| Program {
            path: PathBuf::from(path),
            of_client,
        };
        assert_eq!(
            executables(messages),
            [program("/t/engine-1", false), program("/t/engine-2", true)]
        );
    }
}
