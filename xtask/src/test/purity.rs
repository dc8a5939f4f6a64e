//! The pure crate decides; it does no I/O, reads no clock and draws no lots.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::bail;

use crate::image::cargo;
use crate::workspace;

/// Everything `cachebus-core` may be linked with. A new name here is a decision: can it do I/O?
const ALLOWED: &[&str] = &[
    "base64",
    "block-buffer",
    "bytes",
    "cachebus-api",
    "cachebus-core",
    "cfg-if",
    "cpufeatures",
    "croner",
    "crypto-common",
    "derive_builder",
    "derive_more",
    "digest",
    "dyn-clone",
    "form_urlencoded",
    "generic-array",
    "http",
    "itoa",
    "jiff",
    "jiff-core",
    "k8s-openapi",
    "kube",
    "kube-core",
    "memchr",
    "num-traits",
    "ordered-float",
    "percent-encoding",
    "ref-cast",
    "schemars",
    "serde",
    "serde-value",
    "serde_core",
    "serde_json",
    "sha2",
    "strum",
    "thiserror",
    "typenum",
    "zmij",
];

/// What the standard library and allowed crates would offer all the same.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
];

pub(super) fn check() -> anyhow::Result<()> {
    let tree = cargo()
        .args(["tree", "--package", "cachebus-core", "--prefix", "none"])
        .args(["--edges", "normal,no-proc-macro", "--format", "{p}"])
        .output()?;
    let unknown = beyond_allowed(&tree);
    if !unknown.is_empty() {
        bail!(
            "cachebus-core may not depend on {}",
            unknown.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    let mut found = Vec::new();
    search(&workspace::root().join("crates/core/src"), &mut found)?;
    if !found.is_empty() {
        bail!(
            "cachebus-core is to be pure, but uses:\n{}",
            found.join("\n")
        );
    }
    Ok(())
}

fn beyond_allowed(tree: &str) -> BTreeSet<&str> {
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty() && !ALLOWED.contains(name))
        .collect()
}

fn search(dir: &Path, found: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path)?;
            found.extend(
                impure_lines(&source)
                    .map(|(number, line)| format!("    {}:{number}: {line}", path.display())),
            );
        }
    }
    Ok(())
}

/// Lines of code, before the tests, that name something impure.
fn impure_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(source.lines())
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(number, line)| (number, line.trim()))
        .filter(|(_, line)| !line.starts_with("//"))
        .filter(|(_, line)| IMPURE.iter().any(|name| names(line, name)))
}

/// Whether `line` has `name` as a whole path, not as a part of a longer word.
fn names(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + name.len()..].starts_with(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unlisted_crate_is_named() {
        let tree = "cachebus-core v0.1.0 (/src)\nserde v1.0.0\ntokio v1.0.0 (*)\n\n";
        assert_eq!(beyond_allowed(tree), BTreeSet::from(["tokio"]));
    }

    #[test]
    fn clocks_are_found_in_code_but_not_in_words_comments_or_tests() {
        let source = "// Instant says nothing\nlet instants = Instantaneous;\nlet t = Timestamp::now();\n\
                      #[cfg(test)]\nuse std::fs;\n";
        let lines: Vec<_> = impure_lines(source).collect();
        assert_eq!(lines, [(3, "let t = Timestamp::now();")]);
    }
}
