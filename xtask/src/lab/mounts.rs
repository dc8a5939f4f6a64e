//! Mounts that a killed run left behind.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::command::Cmd;

/// Unmounts whatever is mounted below `dir`, the deepest first.
pub(crate) fn unmount_below(dir: &Path) -> anyhow::Result<()> {
    let table = fs::read_to_string("/proc/self/mounts").context("cannot list the mounts")?;
    for target in mounted_below(&table, dir) {
        Cmd::new("umount").arg("--lazy").arg(&target).run()?;
    }
    Ok(())
}

fn mounted_below(table: &str, dir: &Path) -> Vec<PathBuf> {
    let mut targets: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(|target| PathBuf::from(target.replace("\\040", " ")))
        .filter(|target| target.starts_with(dir))
        .collect();
    targets.reverse();
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_mounts_go_first_and_neighbours_stay() {
        let table = "proc /lab/root/proc proc rw 0 0\n\
                     overlay /lab/root/proc/sys overlay rw 0 0\n\
                     tmpfs /lab/rootless tmpfs rw 0 0\n";
        assert_eq!(
            mounted_below(table, Path::new("/lab/root")),
            [Path::new("/lab/root/proc/sys"), Path::new("/lab/root/proc")]
        );
    }
}
