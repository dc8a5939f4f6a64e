//! Room on the disk: refused early with figures, and made by removing what no version in use needs.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::image::target_directory;
use crate::progress::{note, step};

use super::binaries::PROGRAMS;
use super::docker::{self, Fingerprint, docker};
use super::engines::ENGINES;
use super::home::Home;
use super::{engine, node_image, roots};

const GIB: u64 = 1 << 30;

/// What a build from packages writes at most, beside Go's own caches.
pub(crate) const BUILD: u64 = 8 * GIB;

/// What a cluster and the images loaded into it may grow by.
pub(crate) const RUN: u64 = 6 * GIB;

/// What compilers write in a whole test run, beside [`RUN`].
pub(crate) const TESTS: u64 = 12 * GIB;

/// Makes sure that `wanted` bytes are free; removes what earlier runs left behind when they are not.
pub(crate) fn ensure(home: &Home, wanted: u64) -> anyhow::Result<()> {
    if home.free_bytes()? >= wanted {
        return Ok(());
    }
    prune(home)?;
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

/// Removes programs, images and unfinished work of versions that are no longer in use, and what nothing refers to any more.
pub(crate) fn prune(home: &Home) -> anyhow::Result<()> {
    step("removing what earlier runs left behind", || clear(home))
}

fn clear(home: &Home) -> anyhow::Result<()> {
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
    forget_increments(&target_directory()?)?;
    if docker::answers() {
        if engine::own_pid(home).is_some() {
            remove_unused()?;
        }
        for image in docker::remove_images_but(&images_in_use())? {
            note(format_args!("   removed the image {image}"));
        }
    }
    Ok(())
}

/// Removes what compilers keep of each state of the source that they saw: nothing needs it, and it grows with every change.
fn forget_increments(target: &Path) -> anyhow::Result<()> {
    let Ok(entries) = fs::read_dir(target) else {
        return Ok(());
    };
    let folders = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    // One folder for each profile, below one for each target that is named.
    let below = folders.iter().flat_map(fs::read_dir).flatten();
    let below = below.filter_map(|entry| Some(entry.ok()?.path()));
    for folder in folders.iter().cloned().chain(below) {
        let increments = folder.join("incremental");
        if increments.is_dir() {
            fs::remove_dir_all(&increments)
                .with_context(|| format!("cannot remove {}", increments.display()))?;
            note(format_args!("   removed {}", increments.display()));
        }
    }
    Ok(())
}

/// Removes the volumes of nodes that are gone, and images that lost their name to a newer build.
///
/// Only in the lab's own engine: in another they may be somebody's.
fn remove_unused() -> anyhow::Result<()> {
    for kind in ["volume", "image", "builder"] {
        let printed = docker().args([kind, "prune", "--force"]).output()?;
        note(format_args!(
            "   unused, of kind {kind}: {}",
            printed.lines().last().unwrap_or_default()
        ));
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
