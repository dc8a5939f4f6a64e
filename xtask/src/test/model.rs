//! The model check of who leads, at length.

use crate::image::cargo;

/// Histories: a hundred times as many as in each run of the unit tests.
const HISTORIES: &str = "1000000";

pub(super) fn check() -> anyhow::Result<()> {
    cargo()
        .args(["test", "--quiet", "--release", "--package", "cachebus-core"])
        .args(["--test", "model", "--", "--nocapture"])
        .env("CACHEBUS_MODEL_HISTORIES", HISTORIES)
        .stream()
}
