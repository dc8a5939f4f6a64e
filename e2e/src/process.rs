//! Processes of the cluster's nodes, which are containers on this machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process of a node.
pub struct Process {
    id: Pid,
    folder: PathBuf,
}

impl Process {
    /// Every process of `program` whose first argument this is.
    pub fn all(program: &str, argument: Option<&str>) -> anyhow::Result<Vec<Self>> {
        let found: Vec<Self> = fs::read_dir("/proc")?
            .filter_map(|entry| {
                let folder = entry.ok()?.path();
                let id = folder.file_name()?.to_str()?.parse().ok()?;
                // Processes come and go: one that cannot be read is none of ours.
                let command = fs::read_to_string(folder.join("cmdline")).ok()?;
                // A server writes a title over its arguments, in one piece.
                let mut words = command.split(['\0', ' ']);
                let ours = words.next()?.rsplit('/').next() == Some(program)
                    && argument.is_none_or(|argument| words.next() == Some(argument));
                ours.then(|| Self {
                    id: Pid::from_raw(id),
                    folder,
                })
            })
            .collect();
        ensure!(
            !found.is_empty(),
            "no process `{program} {}`; the cluster's nodes have to run on this machine",
            argument.unwrap_or_default()
        );
        Ok(found)
    }

    /// Whether it runs in a container of the pod with this UID.
    pub fn is_of_pod(&self, uid: &str) -> bool {
        // The systemd driver writes the UID's dashes as underscores.
        let uid = uid.replace('-', "_");
        fs::read_to_string(self.folder.join("cgroup"))
            .is_ok_and(|groups| groups.replace('-', "_").contains(&uid))
    }

    /// Kills it.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGKILL)
    }

    /// Resident memory in KiB, if it still runs.
    pub fn resident_kib(&self) -> Option<u64> {
        resident_kib(&fs::read_to_string(self.folder.join("status")).ok()?)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(self.id, signal).with_context(|| format!("sending {signal} to process {}", self.id))
    }
}

/// Processes that do nothing until this is dropped.
pub struct Suspended(Vec<Process>);

impl Suspended {
    /// Suspends all of them.
    pub fn all(processes: Vec<Process>) -> anyhow::Result<Self> {
        let suspended = Self(processes);
        for process in &suspended.0 {
            process.signal(Signal::SIGSTOP)?;
        }
        Ok(suspended)
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        for process in &self.0 {
            // One that has ended needs no waking.
            let _ = process.signal(Signal::SIGCONT);
        }
    }
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::resident_kib;

    #[test]
    fn resident_memory_is_read_from_a_status_file() {
        assert_eq!(
            resident_kib("Name:\tcachebus\nVmRSS:\t   20480 kB\n"),
            Some(20_480)
        );
        assert_eq!(resident_kib("Name:\tkthread\n"), None);
    }
}
