//! The file with a history, and how it leaves the pod.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;

/// The history, locked while it grows.
const RECORDS: &str = "records";

/// A history that grows.
pub struct Log {
    state: Mutex<(BufWriter<File>, u64)>,
    /// Each line is in the file when [`Log::add`] returns, and outlives the process.
    at_once: bool,
}

impl Log {
    /// An empty one.
    pub fn create(folder: &Path) -> anyhow::Result<Self> {
        Self::open(File::create(folder.join(RECORDS))?, false)
    }

    /// One that goes on with what a process left that was killed. A line that it did not end is taken off.
    pub fn resume(folder: &Path) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(RECORDS))?;
        let mut left = Vec::new();
        file.read_to_end(&mut left)?;
        let last_end = left.iter().rposition(|byte| *byte == b'\n');
        let whole = last_end.map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        Self::open(file, true)
    }

    fn open(file: File, at_once: bool) -> anyhow::Result<Self> {
        file.lock()?;
        Ok(Self {
            state: Mutex::new((BufWriter::new(file), 0)),
            at_once,
        })
    }

    /// Adds a line.
    pub fn add(&self, record: &impl Serialize) -> anyhow::Result<()> {
        let line = serde_json::to_string(record)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(state.0, "{line}")?;
        if self.at_once {
            state.0.flush()?;
        }
        state.1 += 1;
        Ok(())
    }

    /// Nothing more is added; how many lines there are of this process.
    pub fn close(&self) -> anyhow::Result<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.flush()?;
        state.0.get_ref().unlock()?;
        Ok(state.1)
    }
}

/// Stops the first process of this pod, which keeps a history, and prints it when nothing more is added.
pub fn collect(folder: &Path) -> anyhow::Result<()> {
    let mut records = File::open(folder.join(RECORDS))?;
    kill(Pid::from_raw(1), Signal::SIGTERM)?;
    records.lock_shared()?;
    std::io::copy(&mut records, &mut std::io::stdout().lock())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    #[test]
    fn a_line_that_was_not_ended_is_taken_off_and_those_before_it_are_kept() {
        let folder = std::env::temp_dir().join(format!("cachebus-e2e-log-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(RECORDS), "1\n2\n{\"three").unwrap();
        let log = Log::resume(&folder).unwrap();
        log.add(&4).unwrap();
        // Before it is closed.
        let there = fs::read_to_string(folder.join(RECORDS)).unwrap();
        assert_eq!(there, "1\n2\n4\n");
        assert_eq!(log.close().unwrap(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
