//! Processes of a Docker Engine that the lab started, found by what is on their command lines.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::command::Cmd;

use super::wait;

/// One process of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    parent: u32,
    arguments: Vec<String>,
}

impl Process {
    /// The file name of the program.
    pub(crate) fn program(&self) -> &str {
        let first = self.arguments.first().map_or("", String::as_str);
        first.rsplit('/').next().unwrap_or(first)
    }

    /// Whether any argument contains `text`.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.arguments
            .iter()
            .skip(1)
            .any(|argument| argument.contains(text))
    }

    /// Whether the process still exists.
    pub(crate) fn is_alive(&self) -> bool {
        read(self.pid).is_some_and(|now| now.arguments == self.arguments)
    }

    /// Asks the process to end; ends it when it has not within `patience`.
    pub(crate) fn stop(&self, patience: Duration) -> anyhow::Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        self.signal("TERM");
        if wait::until(patience, || !self.is_alive()) {
            return Ok(());
        }
        self.signal("KILL");
        if wait::until(Duration::from_secs(10), || !self.is_alive()) {
            return Ok(());
        }
        anyhow::bail!("process {} ({}) does not end", self.pid, self.program())
    }

    /// Ends the process at once.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
    }

    /// A process that is gone before its signal needs none.
    fn signal(&self, name: &str) {
        let _ = Cmd::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid.to_string())
            .run();
    }
}

/// Every process that has a command line.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .collect()
}

/// The direct children of a process.
pub(crate) fn children<'a>(
    all: &'a [Process],
    parent: &Process,
) -> impl Iterator<Item = &'a Process> {
    let pid = parent.pid;
    all.iter().filter(move |process| process.parent == pid)
}

fn read(pid: u32) -> Option<Process> {
    let dir = Path::new("/proc").join(pid.to_string());
    let line = fs::read(dir.join("cmdline")).ok()?;
    let arguments: Vec<String> = line
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .filter(|argument| !argument.is_empty())
        .collect();
    if arguments.is_empty() {
        return None;
    }
    let status = fs::read_to_string(dir.join("status")).ok()?;
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim()
        .parse()
        .ok()?;
    Some(Process {
        pid,
        parent,
        arguments,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_process_is_found_by_its_argument_and_stopped() {
        let mut child = std::process::Command::new("sleep")
            .arg("98.7654")
            .spawn()
            .unwrap();
        // The kernel lets go of whoever starts a program before the program has its arguments.
        let mut found = None;
        wait::until(Duration::from_secs(10), || {
            found = all()
                .into_iter()
                .find(|process| process.program() == "sleep" && process.mentions("98.7654"));
            found.is_some()
        });
        let found = found.unwrap();
        assert_eq!(found.pid, child.id());
        found.stop(Duration::from_secs(5)).unwrap();
        assert!(!child.wait().unwrap().success());
    }
}
