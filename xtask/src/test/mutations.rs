//! Each safety rule is broken on purpose, and a test must notice.
//!
//! A mutation is a patch in `crates/core/tests/mutations` that begins with `Rule:` and `Test: <target> <test>`. It is applied to
//! a copy of the source; the check fails where it does not apply or compile, or where the test still passes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::command::Cmd;
use crate::image::target_directory;
use crate::progress::{note, step};
use crate::workspace;

const MUTATIONS: &str = "crates/core/tests/mutations";

pub(super) fn check() -> anyhow::Result<()> {
    let mutations = mutations()?;
    let scratch = target_directory()?.join("mutations");
    let copy = scratch.join("source");
    // Never into the workspace's own: Cargo would take what is broken for fresh there.
    let built = scratch.join("target");
    step("copying the source", || copy_source(&copy))?;
    let mut unnoticed = 0;
    for mutation in &mutations {
        let noticed = step(&mutation.rule, || mutation.is_noticed(&copy, &built))?;
        if !noticed {
            note(format_args!(
                "{} passes in spite of {}",
                mutation.test, mutation.name
            ));
            unnoticed += 1;
        }
    }
    let all = mutations.len();
    ensure!(unnoticed == 0, "{unnoticed} of {all} mutations unnoticed");
    Ok(())
}

/// A rule that is broken, and the test that must notice.
#[derive(Debug, PartialEq, Eq)]
struct Mutation {
    name: String,
    rule: String,
    /// Test target of `cachebus-core`.
    target: String,
    test: String,
    patch: String,
}

impl Mutation {
    fn parse(name: &str, patch: String) -> anyhow::Result<Self> {
        let header = |key: &str| {
            patch
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
                .with_context(|| format!("{name} has no line {key}:"))
        };
        let (target, test) = header("Test")?
            .split_once(' ')
            .with_context(|| format!("{name} names no test of a target"))?;
        Ok(Self {
            name: name.to_owned(),
            rule: header("Rule")?.to_owned(),
            target: target.to_owned(),
            test: test.to_owned(),
            patch,
        })
    }

    fn is_noticed(&self, copy: &Path, built: &Path) -> anyhow::Result<bool> {
        self.apply(copy, &[])?;
        let noticed = self.fails(copy, built);
        self.apply(copy, &["--reverse"])?;
        noticed
    }

    fn apply(&self, copy: &Path, how: &[&str]) -> anyhow::Result<()> {
        // Inside a repository Git would look for the paths there, and apply nothing.
        Cmd::new("git")
            .args(["apply", "--unidiff-zero"])
            .args(how)
            .env("GIT_CEILING_DIRECTORIES", copy.parent().unwrap_or(copy))
            .dir(copy)
            .input(self.patch.as_bytes())
            .run()
            .with_context(|| format!("{} does not apply", self.name))
    }

    /// Whether the test fails, and exists.
    fn fails(&self, copy: &Path, built: &Path) -> anyhow::Result<bool> {
        let test = |arguments: &[&str]| {
            Cmd::new("cargo")
                .args(["test", "--quiet", "--locked", "--package", "cachebus-core"])
                .args(["--test", &self.target])
                .args(arguments)
                .env("CARGO_TARGET_DIR", built)
                .env("INSTA_UPDATE", "no")
                // Which failing case is the smallest is of no interest, nor is it to be kept.
                .env("PROPTEST_MAX_SHRINK_ITERS", "0")
                .env("PROPTEST_FAILURE_PERSISTENCE", "off")
                .dir(copy)
        };
        test(&["--no-run"])
            .run()
            .with_context(|| format!("{} does not compile", self.name))?;
        let listed = test(&["--", "--list", "--exact", &self.test]).output()?;
        if !listed.contains(": test") {
            bail!("{} names no test: {}", self.name, self.test);
        }
        Ok(!test(&["--", "--exact", &self.test]).succeeds())
    }
}

/// All mutations, by name.
fn mutations() -> anyhow::Result<Vec<Mutation>> {
    let folder = workspace::root().join(MUTATIONS);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|kind| kind == "patch"));
    files.sort();
    files
        .iter()
        .map(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            Mutation::parse(&name, fs::read_to_string(file)?)
        })
        .collect()
}

/// Copies every file that is, or is to be, in the repository.
fn copy_source(copy: &Path) -> anyhow::Result<()> {
    let root = workspace::root();
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    let files = Cmd::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .dir(&root)
        .output()?;
    for file in files.lines().filter(|file| root.join(file).is_file()) {
        let to = copy.join(file);
        fs::create_dir_all(to.parent().unwrap_or(copy))?;
        fs::copy(root.join(file), &to).with_context(|| format!("copying {file}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_mutation_says_which_rule_it_breaks_and_who_must_notice() {
        let patch = "Rule: nobody leads\nTest: plan steps::first\n\n--- a/x\n+++ b/x\n";
        let mutation = Mutation::parse("x.patch", patch.to_owned()).unwrap();
        assert_eq!(mutation.rule, "nobody leads");
        assert_eq!(
            (mutation.target.as_str(), mutation.test.as_str()),
            ("plan", "steps::first")
        );
        assert!(Mutation::parse("x.patch", "Rule: nobody leads\n".to_owned()).is_err());
    }

    #[test]
    fn every_mutation_can_be_read() {
        assert!(mutations().unwrap().len() >= 12);
    }
}
