//! Room on the disk: refused early with figures, and made by removing what no version in use needs.

use std::fs;

use anyhow::{Context as _, bail};

use crate::progress::{note, step};

use super::binaries::PROGRAMS;
use super::docker::{self, Fingerprint};
use super::engines::ENGINES;
use super::home::Home;
use super::{node_image, roots};

const GIB: u64 = 1 << 30;

/// What a build from packages writes at most, beside Go's own caches.
pub(crate) const BUILD: u64 = 8 * GIB;

/// What a cluster and the images loaded into it may grow by.
pub(crate) const RUN: u64 = 3 * GIB;

/// Makes sure that `wanted` bytes are free; removes what old versions left behind when they are not.
pub(crate) fn ensure(home: &Home, wanted: u64) -> anyhow::Result<()> {
    if home.free_bytes()? >= wanted {
        return Ok(());
    }
    step("removing what old versions left behind", || prune(home))?;
    let free = home.free_bytes()?;
    if free >= wanted {
        return Ok(());
    }
    bail!(
        "{} has {} free and this needs {}; nothing old is left to remove: make room, or set {} to a folder elsewhere",
        home.root().display(),
        gib(free),
        gib(wanted),
        super::home::HOME_VARIABLE,
    )
}

/// Removes programs, images and unfinished work of versions that are no longer in use.
pub(crate) fn prune(home: &Home) -> anyhow::Result<()> {
    let current: Vec<String> = PROGRAMS
        .iter()
        .map(super::binaries::Program::file_name)
        .collect();
    for entry in fs::read_dir(home.store())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !current.contains(&name) {
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove {}", entry.path().display()))?;
            note(format_args!("   removed {name}"));
        }
    }
    drop(home.scratch("prune")?);
    if docker::answers() {
        for image in docker::remove_images_but(&images_in_use())? {
            note(format_args!("   removed the image {image}"));
        }
    }
    Ok(())
}

fn images_in_use() -> Vec<Fingerprint> {
    let roots = [
        &roots::HELPER,
        &roots::REDIS_STABLE,
        &roots::ENGINES,
        &roots::NODE,
        &roots::PYTHON,
        &roots::POSTGRES,
    ];
    let engines = ENGINES.iter().map(super::engines::EngineImage::inputs);
    roots
        .into_iter()
        .map(roots::Root::inputs)
        .chain(engines)
        .chain([node_image::inputs()])
        .collect()
}

fn gib(bytes: u64) -> String {
    let tenths = bytes / (GIB / 10);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_given_to_a_tenth() {
        assert_eq!(gib(5 * GIB / 2), "2.5 GiB");
        assert_eq!(gib(0), "0.0 GiB");
    }
}
