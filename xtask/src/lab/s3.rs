//! A real S3 server for scenarios, alone in an image.

use std::fs;

use anyhow::Context as _;

use crate::progress::step;

use super::binaries;
use super::docker::{self, Fingerprint};
use super::home::Home;
use super::versions::VERSITYGW;

/// The image of the S3 server.
pub(crate) const IMAGE: &str = "localhost/cachebus-e2e-s3:dev";

const PROGRAM: &str = "versitygw";

/// Builds the image unless it is there.
pub(crate) fn ensure(home: &Home) -> anyhow::Result<()> {
    let text = format!("FROM scratch\nCOPY {PROGRAM} /{PROGRAM}\nENTRYPOINT [\"/{PROGRAM}\"]\n");
    let inputs = Fingerprint::of([text.as_str(), VERSITYGW]);
    if docker::has(IMAGE, &inputs) {
        return Ok(());
    }
    binaries::ensure_one(home, PROGRAM)?;
    step(format_args!("building {IMAGE}"), || {
        let scratch = home.scratch("s3")?;
        fs::copy(home.bin().join(PROGRAM), scratch.path().join(PROGRAM))
            .with_context(|| format!("{PROGRAM} was not built"))?;
        fs::write(scratch.path().join("Dockerfile"), &text)?;
        docker::build(IMAGE, scratch.path(), &inputs)
    })
}
