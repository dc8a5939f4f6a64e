//! Backups: what their pods are told and say, which backups are due, and which have outlived themselves. All of it pure.

mod manifest;
mod plan;
mod rdb;
mod retention;
mod schedule;
mod task;

pub use manifest::{ENCRYPTED_FILE, MANIFEST_FILE, Manifest, PLAIN_FILE, folder, series};
pub(crate) use plan::last_scheduled;
pub use plan::{
    BackupAction, BackupEvents, BackupView, Backups, GRACE_MS, TaskPhase, TaskPod, backup_reason,
    plan_backups, rejected, told,
};
pub use rdb::{Head, LONGEST_HEAD, head};
pub use retention::{Kept, outlived};
pub use schedule::{latest, scheduled_name, violation as schedule_violation};
pub use task::{
    BackupTask, Failure, Loaded, PruneTask, Pruned, Report, Restoration, RestoreTask, Source,
    TASK_VARIABLE, Taken, Task, VerifyTask, judge_load,
};
