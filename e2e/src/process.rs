//! Processes of the cluster's nodes, which are containers on this machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process of a node.
#[derive(Clone)]
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

    /// The agent of each pod of these UIDs. With it all of its container ends, since it is process 1.
    pub fn agents<'a>(uids: impl IntoIterator<Item = &'a String>) -> anyhow::Result<Vec<Self>> {
        let all = Self::all("cachebus", Some("agent"))?;
        uids.into_iter()
            .map(|uid| {
                let own = all.iter().find(|agent| agent.is_of_pod(uid));
                own.cloned().context("a pod without an agent")
            })
            .collect()
    }

    /// Its number.
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// The folder of its control group, where this controller has a hierarchy of its own (version 1).
    pub fn control_group(&self, controller: &str) -> Option<PathBuf> {
        let groups = fs::read_to_string(self.folder.join("cgroup")).ok()?;
        let own = group(&groups, controller)?;
        Some(PathBuf::from(format!("/sys/fs/cgroup/{controller}{own}")))
    }

    /// The folder of its control group where all controllers share one hierarchy (version 2).
    pub fn unified_group(&self) -> anyhow::Result<PathBuf> {
        let groups = fs::read_to_string(self.folder.join("cgroup"))?;
        let own = group(&groups, "").context("no unified control group")?;
        Ok(PathBuf::from(format!("/sys/fs/cgroup{own}")))
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

/// The group of a controller, of the lines `number:controllers:group`.
fn group<'a>(groups: &'a str, controller: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        let mut controllers = controllers.split(',');
        controllers.any(|own| own == controller).then_some(group)
    })
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{group, resident_kib};

    #[test]
    fn a_controllers_group_is_found_in_either_version() {
        let groups = "4:memory:/docker/a\n3:cpu,cpuacct:/docker/b\n0::/docker/c\n";
        assert_eq!(group(groups, "memory"), Some("/docker/a"));
        assert_eq!(group(groups, "cpuacct"), Some("/docker/b"));
        assert_eq!(group(groups, ""), Some("/docker/c"));
        assert_eq!(group(groups, "blkio"), None);
    }

    #[test]
    fn resident_memory_is_read_from_a_status_file() {
        assert_eq!(
            resident_kib("Name:\tcachebus\nVmRSS:\t   20480 kB\n"),
            Some(20_480)
        );
        assert_eq!(resident_kib("Name:\tkthread\n"), None);
    }
}
