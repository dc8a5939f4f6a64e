//! The file with a history, and how it leaves the pod.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cachebus_e2e::history::Record;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The history, locked while it grows.
const RECORDS: &str = "records";

/// A history that grows.
pub struct Log {
    state: Mutex<(BufWriter<File>, u64)>,
}

impl Log {
    /// An empty one.
    pub fn create(folder: &Path) -> anyhow::Result<Self> {
        let file = File::create(folder.join(RECORDS))?;
        file.lock()?;
        Ok(Self {
            state: Mutex::new((BufWriter::new(file), 0)),
        })
    }

    /// Adds a line.
    pub fn add(&self, record: &Record) -> anyhow::Result<()> {
        let line = serde_json::to_string(record)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(state.0, "{line}")?;
        state.1 += 1;
        Ok(())
    }

    /// Nothing more is added; how many lines there are.
    pub fn close(&self) -> anyhow::Result<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.flush()?;
        state.0.get_ref().unlock()?;
        Ok(state.1)
    }
}

/// Stops the writers of this pod, which are its first process, and prints their history when nothing more is added.
pub fn collect(folder: &Path) -> anyhow::Result<()> {
    let mut records = File::open(folder.join(RECORDS))?;
    kill(Pid::from_raw(1), Signal::SIGTERM)?;
    records.lock_shared()?;
    std::io::copy(&mut records, &mut std::io::stdout().lock())?;
    Ok(())
}
