//! What the pods that make, prove and restore backups do. They have no rights in Kubernetes: what they are to do is in their
//! environment, and what came of it is their termination message.

mod error;
mod fetch;
mod keys;
mod layout;
mod prune;
mod restore;
mod storage;
mod take;
mod upload;
mod verify;

pub use error::BackupError;
pub use layout::Layout;

use cachebus_core::backup::{Failure, Report, TASK_VARIABLE, Task};
use std::fs;
use std::path::Path;

/// Where kubelet reads what a container has to say in the end.
const TERMINATION_LOG: &str = "/dev/termination-log";
/// Characters of a message that are passed on: kubelet takes 4096 bytes, and people read one line.
const LONGEST_MESSAGE: usize = 1_000;

/// Does what the environment asks for, and says what came of it.
///
/// # Errors
/// Nothing came of it. That has been said already.
pub async fn run() -> Result<(), BackupError> {
    let done = match task() {
        Ok(task) => carry_out(&task, &Layout::of_pod()).await,
        Err(error) => Err(error),
    };
    let report = match &done {
        Ok(report) => report.clone(),
        Err(error) => Report::Failed(Failure {
            reason: error.reason().to_owned(),
            message: error.to_string().chars().take(LONGEST_MESSAGE).collect(),
        }),
    };
    say(&report, Path::new(TERMINATION_LOG))?;
    done.map(|_| ())
}

fn task() -> Result<Task, BackupError> {
    let text = std::env::var(TASK_VARIABLE).unwrap_or_default();
    serde_json::from_str(&text).map_err(BackupError::Task)
}

/// Does one task in a pod that is laid out like this.
///
/// # Errors
/// Nothing came of it.
pub async fn carry_out(task: &Task, layout: &Layout) -> Result<Report, BackupError> {
    match task {
        Task::Backup(task) => Ok(Report::Taken(take::take(task, layout).await?)),
        Task::Verify(task) => Ok(Report::Verified(verify::verify(task, layout).await?)),
        Task::Prune(task) => Ok(Report::Pruned(prune::prune(task, layout).await)),
        Task::Restore(task) => Ok(Report::Restored(restore::restore(task, layout).await?)),
    }
}

fn say(report: &Report, path: &Path) -> Result<(), BackupError> {
    let text = serde_json::to_vec(report).map_err(BackupError::Task)?;
    fs::write(path, text).map_err(BackupError::file("writing", path))
}
