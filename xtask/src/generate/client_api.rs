//! What the client library for Rust offers: each public item, one a line, with all features.

use anyhow::Context as _;
use public_api::{Builder, PublicItem};

use crate::image::{cargo, target_directory};
use crate::workspace;

/// The traits that the compiler implements by itself and nobody asks for by name.
const UNSPOKEN: [&str; 6] = [
    " core::marker::Freeze for ",
    " core::marker::StructuralPartialEq for ",
    " core::marker::Unpin for ",
    " core::marker::UnsafeUnpin for ",
    " core::panic::unwind_safe::RefUnwindSafe for ",
    " core::panic::unwind_safe::UnwindSafe for ",
];

pub(super) fn client_api() -> anyhow::Result<String> {
    let root = workspace::root();
    let printed = root.join("target/public-api");
    cargo()
        .args(["rustdoc", "--quiet", "--package", "cachebus", "--lib"])
        .args(["--all-features", "--target-dir"])
        .arg(&printed)
        // What is compiled for it is what lints were compiled for.
        .env("CARGO_BUILD_BUILD_DIR", target_directory()?)
        .env("RUSTDOC", root.join("xtask/src/generate/rustdoc.sh"))
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .run()?;
    let api = Builder::from_rustdoc_json(printed.join("doc/cachebus.json"))
        .omit_blanket_impls(true)
        .build()
        .context("the version of the crate public-api goes with that of the toolchain")?;
    let lines = api.items().map(PublicItem::to_string);
    let spoken = lines.filter(|line| !UNSPOKEN.iter().any(|name| line.contains(name)));
    Ok(spoken.map(|line| line + "\n").collect())
}
