//! Where the source tree is.

use std::path::{Path, PathBuf};

/// The root of the workspace this program was built from.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}
