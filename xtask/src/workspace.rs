//! Where the source tree is.

use std::path::{Path, PathBuf};

/// The root of the workspace that `cargo xtask` was called in; outside cargo, of the one this program was built from.
///
/// Cargo says so when it runs a program. What was true when it was built need not be: a tree can be moved, and builds of two trees can share a target folder.
pub fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| manifest.clone(), Path::to_path_buf)
}
