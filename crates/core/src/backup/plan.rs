//! From one look at a bus's backups to what is to be done: [`plan_backups`]. One is made at a time, in the order in which they
//! were asked for, and none is tried twice.

mod outcome;
mod start;
mod tidy;

pub use outcome::{BackupEvents, rejected, told};

use super::schedule::{latest, scheduled_name};
use super::task::{Report, Task};
use crate::bus::Bus;
use crate::observed::Observed;
use crate::plan::view::time;
use cachebus_api::backup::{Destination, Encryption};
use cachebus_api::{BackupStatus, CacheBusBackupSpec, status::BackupPhase};

/// For how long the pod of a backup may not be seen, milliseconds: the watch of pods may lag behind.
pub const GRACE_MS: u64 = 30_000;
/// How long a backup may take, milliseconds.
pub const DEADLINE_MS: u64 = 6 * 3_600_000;

/// Stable reasons of where a backup stands.
pub mod backup_reason {
    /// It is being made.
    pub const RUNNING: &str = "Running";
    /// It is whole.
    pub const DONE: &str = "Done";
    /// No data pod has a copy to take it from.
    pub const NO_SOURCE: &str = "NoSource";
    /// Neither the backup nor its bus says where it goes.
    pub const NO_DESTINATION: &str = "NoDestination";
    /// Its pod has gone before it had said anything.
    pub const POD_LOST: &str = "PodLost";
    /// Its pod has ended without a word.
    pub const POD_FAILED: &str = "PodFailed";
    /// The API server refuses its pod.
    pub const REJECTED: &str = "Rejected";
    /// It took too long.
    pub const DEADLINE: &str = "DeadlineExceeded";
    /// It is stored, and could not be loaded, or not with all of its keys.
    pub const NOT_VERIFIED: &str = "NotVerified";
}

/// A backup and its pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupView {
    /// Name of the object.
    pub name: String,
    /// UID of it.
    pub uid: String,
    /// When it was asked for, milliseconds since 1970.
    pub created_ms: u64,
    /// Whether the schedule did.
    pub scheduled: bool,
    /// What was asked for.
    pub spec: CacheBusBackupSpec,
    /// Status as last written.
    pub status: BackupStatus,
    /// Its pod, where it is seen.
    pub pod: Option<TaskPod>,
}

/// A pod that makes or restores a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPod {
    /// How far it is.
    pub phase: TaskPhase,
    /// What its containers said when they ended.
    pub reports: Vec<Report>,
    /// Why it does not get further, for people.
    pub trouble: Option<String>,
}

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// It waits or runs.
    Live,
    /// Each container ended well.
    Succeeded,
    /// One did not, and none is started again.
    Failed,
}

/// What was seen of backups and restorations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backups {
    /// The bus's backups.
    pub all: Vec<BackupView>,
    /// The pod that restores one.
    pub restoring: Option<TaskPod>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupAction {
    /// Make the object of a backup that the schedule asks for. There may be one of this name already.
    Schedule {
        /// Its name.
        name: String,
    },
    /// Make the pod of a backup. There may be one already.
    Start {
        /// Name of the backup.
        name: String,
        /// What the pod's containers are to do, in this order.
        tasks: Vec<Task>,
        /// Where the backup goes.
        destination: Box<Destination>,
        /// With what it is encrypted.
        encryption: Option<Encryption>,
    },
    /// Write the status of a backup.
    Report {
        /// Name of the backup.
        name: String,
        /// Its status.
        status: Box<BackupStatus>,
    },
    /// Delete the pod of a backup.
    Sweep {
        /// Name of the backup.
        name: String,
    },
    /// Delete the object of a backup.
    Forget {
        /// Name of the backup.
        name: String,
    },
}

impl BackupView {
    /// Whether it came to its end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(
            self.status.phase,
            Some(BackupPhase::Succeeded | BackupPhase::Failed)
        )
    }

    fn report(&self, status: BackupStatus) -> Option<BackupAction> {
        (status != self.status).then(|| BackupAction::Report {
            name: self.name.clone(),
            status: Box::new(status),
        })
    }

    fn sweep(&self) -> Option<BackupAction> {
        self.pod.as_ref().map(|_| BackupAction::Sweep {
            name: self.name.clone(),
        })
    }
}

/// Decides what is to be done about the backups of a bus. In steady state: nothing.
#[must_use]
pub fn plan_backups(bus: &Bus, observed: &Observed) -> Vec<BackupAction> {
    let mut all: Vec<&BackupView> = observed.backups.all.iter().collect();
    all.sort_by_key(|backup| (backup.created_ms, &backup.name));
    let mut actions = Vec::new();
    let mut busy = false;
    for backup in &all {
        if backup.status.phase == Some(BackupPhase::Running) {
            actions.extend(outcome::follow(backup, observed.now_ms));
            busy = true;
        }
    }
    if bus.spec.paused {
        return actions;
    }
    if let Some(next) = all
        .iter()
        .find(|backup| matches!(backup.status.phase, None | Some(BackupPhase::Pending)) && !busy)
    {
        actions.extend(start::start(bus, observed, next));
    }
    actions.extend(scheduled(bus, observed));
    actions.extend(tidy::tidy(bus, &all));
    actions
}

/// The backup that the schedule asks for, where there is none yet. Of times that were missed, or came while one waited, only the
/// last one counts.
fn scheduled(bus: &Bus, observed: &Observed) -> Option<BackupAction> {
    let (at, name) = last_scheduled(bus, observed.now_ms)?;
    let through = observed
        .status
        .backup
        .as_ref()?
        .scheduled_through
        .as_ref()?;
    let mut known = observed.backups.all.iter();
    let is_new = at > through.0
        && known.all(|backup| backup.name != name && (!backup.scheduled || backup.has_ended()));
    (is_new && !bus.spec.hibernated).then_some(BackupAction::Schedule { name })
}

/// The last time at which the schedule asked for a backup, and the name of that one. `None`: it asks for none.
pub(crate) fn last_scheduled(
    bus: &Bus,
    now_ms: u64,
) -> Option<(k8s_openapi::jiff::Timestamp, String)> {
    let settings = bus
        .spec
        .backup
        .as_ref()
        .filter(|settings| !settings.suspend)?;
    let at_ms = latest(settings.schedule.as_ref()?, now_ms)?;
    let name = scheduled_name(bus.names.bus(), at_ms)?;
    Some((time(at_ms).0, name))
}
