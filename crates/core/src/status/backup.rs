//! How far backups have come.

use super::condition::{Finding, kind};
use crate::backup::{BackupView, last_scheduled};
use crate::bus::Bus;
use crate::observed::Observed;
use crate::plan::view::time;
use cachebus_api::status::{BackupPhase, BackupProgress};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What is noted of backups, where the spec asks for any.
pub fn progress(bus: &Bus, observed: &Observed) -> Option<BackupProgress> {
    bus.spec.backup.as_ref()?;
    let previous = observed.status.backup.clone().unwrap_or_default();
    let newest = latest(observed, |backup| {
        backup.status.phase == Some(BackupPhase::Succeeded)
    });
    let newest = newest.filter(|newest| newest.status.finished_at >= previous.last_successful_at);
    let (last_successful, last_successful_at) = match newest {
        Some(newest) => (Some(newest.name.clone()), newest.status.finished_at.clone()),
        None => (previous.last_successful, previous.last_successful_at),
    };
    Some(BackupProgress {
        scheduled_through: through(bus, observed, previous.scheduled_through),
        last_successful,
        last_successful_at,
    })
}

/// A schedule begins when it is first seen. From then on a time is served once the object of its backup is there.
fn through(bus: &Bus, observed: &Observed, previous: Option<Time>) -> Option<Time> {
    let (last, name) = last_scheduled(bus, observed.now_ms)?;
    let Some(previous) = previous else {
        return Some(time(observed.now_ms));
    };
    let there = observed
        .backups
        .all
        .iter()
        .any(|backup| backup.name == name);
    Some(if there && last > previous.0 {
        Time(last)
    } else {
        previous
    })
}

/// Whether the last backup is whole.
pub fn backed_up(
    bus: &Bus,
    observed: &Observed,
    progress: Option<&BackupProgress>,
) -> Option<Finding> {
    bus.spec.backup.as_ref()?;
    let kind = kind::BACKED_UP;
    let last = latest(observed, BackupView::has_ended);
    let failed = last.filter(|last| last.status.phase == Some(BackupPhase::Failed));
    if let Some(failed) = failed {
        let why = failed.status.message.as_deref().unwrap_or_default();
        let reason = "LastBackupFailed";
        return Some(Finding::bad(
            kind,
            reason,
            format!("{}: {why}", failed.name),
        ));
    }
    let successful = progress.and_then(|progress| progress.last_successful.as_ref());
    Some(match successful {
        Some(name) => Finding::good(kind, "LastBackupSucceeded", format!("{name} is whole")),
        None => Finding::undecided(
            kind,
            "NoBackupYet",
            "no backup has been made yet".to_owned(),
        ),
    })
}

/// The one of them that ended last.
fn latest(observed: &Observed, which: impl Fn(&BackupView) -> bool) -> Option<&BackupView> {
    let backups = observed.backups.all.iter();
    backups
        .filter(|backup| which(backup))
        .max_by_key(|backup| (backup.status.finished_at.clone(), &backup.name))
}
