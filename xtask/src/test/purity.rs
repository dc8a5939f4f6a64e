//! The pure crate decides; it does no I/O, reads no clock and draws no lots. Of what the standard library offers, its own
//! `clippy.toml` forbids that.

use std::collections::BTreeSet;

use anyhow::ensure;

use crate::image::cargo;

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

pub(super) fn check() -> anyhow::Result<()> {
    let tree = cargo()
        .args(["tree", "--package", "cachebus-core", "--prefix", "none"])
        .args(["--edges", "normal,no-proc-macro", "--format", "{p}"])
        .output()?;
    let unknown = beyond_allowed(&tree);
    ensure!(
        unknown.is_empty(),
        "cachebus-core may not depend on {}",
        unknown.into_iter().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

fn beyond_allowed(tree: &str) -> BTreeSet<&str> {
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty() && !ALLOWED.contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unlisted_crate_is_named() {
        let tree = "cachebus-core v0.1.0 (/src)\nserde v1.0.0\ntokio v1.0.0 (*)\n\n";
        assert_eq!(beyond_allowed(tree), BTreeSet::from(["tokio"]));
    }
}
