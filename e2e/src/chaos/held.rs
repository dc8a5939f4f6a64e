//! What is held back from a process of a pod until it is dropped. The cluster's nodes are containers on this machine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::process::Process;

/// A bound so far above what a container uses that its next growth meets it.
const MARGIN: u64 = 4 << 20;

/// A container with hardly more memory than it uses.
pub struct ShortOfMemory {
    file: PathBuf,
    before: String,
}

impl ShortOfMemory {
    /// Lowers the limit of the container in which this runs.
    pub fn begin(process: &Process) -> anyhow::Result<Self> {
        let (group, limit, usage) = match process.control_group("memory") {
            Some(group) => (group, "memory.limit_in_bytes", "memory.usage_in_bytes"),
            None => (process.unified_group()?, "memory.max", "memory.current"),
        };
        let used: u64 = fs::read_to_string(group.join(usage))?.trim().parse()?;
        let file = group.join(limit);
        let short = Self {
            before: fs::read_to_string(&file)?,
            file,
        };
        fs::write(&short.file, (used + MARGIN).to_string()).context("lowering a memory limit")?;
        Ok(short)
    }
}

impl Drop for ShortOfMemory {
    fn drop(&mut self) {
        // A container that was replaced meanwhile has taken its limit with it.
        let _ = fs::write(&self.file, &self.before);
    }
}

/// A pod whose packets queue.
pub struct Queue {
    process: String,
}

impl Queue {
    /// Slows what a process's pod sends.
    pub fn begin(process: &Process) -> anyhow::Result<Self> {
        let queue = Self {
            process: process.id(),
        };
        queue.tc(
            &["add", "dev", "eth0", "root", "tbf"],
            &["rate", "2mbit", "burst", "16kb", "latency", "300ms"],
        )?;
        Ok(queue)
    }

    fn tc(&self, what: &[&str], how: &[&str]) -> anyhow::Result<()> {
        let words = [&["-t", &self.process, "-n", "tc", "qdisc"], what, how].concat();
        run("nsenter", &words)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // A pod that is gone has no queue any more.
        let _ = self.tc(&["del", "dev", "eth0", "root"], &[]);
    }
}

/// Runs a program of this machine.
pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    printed(program, arguments).map(|_| ())
}

/// The same; what it prints.
pub fn printed(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| program.to_owned())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        errors.trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// A limit on what a pod writes to a block device until it is dropped.
pub struct SlowDisk {
    device: String,
    groups: Vec<PathBuf>,
}

impl SlowDisk {
    /// Bounds what is written to a device, such as `/dev/loop0`, to so many bytes a second: by the container of a process,
    /// and by the kernel's threads, which write for it.
    pub fn begin(process: &Process, device: &str, bytes_a_second: u32) -> anyhow::Result<Self> {
        let own = process.control_group("blkio");
        let own = own.context("bounding writes takes version 1 of control groups")?;
        let name = device.rsplit('/').next().unwrap_or(device);
        let number = fs::read_to_string(format!("/sys/block/{name}/dev"))?;
        let slow = Self {
            device: number.trim().to_owned(),
            groups: vec![own, "/sys/fs/cgroup/blkio".into()],
        };
        slow.bound(bytes_a_second)?;
        Ok(slow)
    }

    fn bound(&self, bytes_a_second: u32) -> anyhow::Result<()> {
        for group in &self.groups {
            let file = group.join("blkio.throttle.write_bps_device");
            fs::write(file, format!("{} {bytes_a_second}", self.device))?;
        }
        Ok(())
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // Nothing stands for no bound. A container that was replaced has taken its own with it.
        self.groups.reverse();
        let _ = self.bound(0);
    }
}
