//! What becomes of a backup that is being made, and what people are told of it.

use super::super::task::{Failure, Loaded, Pruned, Report, Taken};
use super::{
    BackupAction, BackupView, DEADLINE_MS, GRACE_MS, TaskPhase, TaskPod, backup_reason as reason,
};
use crate::events::EventDraft;
use crate::plan::view::time;
use cachebus_api::BackupStatus;
use cachebus_api::status::BackupPhase;

/// The Events of a backup's change.
pub type BackupEvents = Vec<EventDraft>;

/// Follows a backup that is being made.
pub(super) fn follow(backup: &BackupView, now_ms: u64) -> Vec<BackupAction> {
    let running_ms = backup.status.started_at.as_ref().map_or(0, |since| {
        let since = u64::try_from(since.0.as_millisecond()).unwrap_or_default();
        now_ms.saturating_sub(since)
    });
    let status = match &backup.pod {
        None if running_ms <= GRACE_MS => return Vec::new(),
        None => failed(
            backup,
            reason::POD_LOST,
            "its pod has gone before it had ended",
        ),
        Some(pod) if pod.phase != TaskPhase::Live => ended(backup, pod),
        Some(_) if running_ms > DEADLINE_MS => {
            let late = failed(backup, reason::DEADLINE, "it took more than six hours");
            let late = finished(late, now_ms);
            return backup
                .report(late)
                .into_iter()
                .chain(backup.sweep())
                .collect();
        }
        Some(pod) => {
            let going_on = BackupStatus {
                message: pod.trouble.clone(),
                ..backup.status.clone()
            };
            return backup.report(going_on).into_iter().collect();
        }
    };
    let status = finished(status, now_ms);
    // That of one that failed stays, for its log, and goes with the backup's object.
    let sweep = backup
        .sweep()
        .filter(|_| status.phase == Some(BackupPhase::Succeeded));
    backup.report(status).into_iter().chain(sweep).collect()
}

fn finished(status: BackupStatus, now_ms: u64) -> BackupStatus {
    BackupStatus {
        finished_at: Some(time(now_ms)),
        ..status
    }
}

fn failed(backup: &BackupView, reason: &str, message: &str) -> BackupStatus {
    BackupStatus {
        phase: Some(BackupPhase::Failed),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        ..backup.status.clone()
    }
}

/// A backup whose pod the API server refuses. It has ended: one that waited would keep all others from being made.
#[must_use]
pub fn rejected(backup: &BackupView, why: &str, now_ms: u64) -> BackupStatus {
    finished(failed(backup, reason::REJECTED, why), now_ms)
}

/// What a pod that has ended has made.
fn ended(backup: &BackupView, pod: &TaskPod) -> BackupStatus {
    let mut taken: Option<&Taken> = None;
    let mut verified: Option<&Loaded> = None;
    let mut pruned: Option<&Pruned> = None;
    let mut failure: Option<&Failure> = None;
    for report in &pod.reports {
        match report {
            Report::Taken(report) => taken = Some(report),
            Report::Verified(report) => verified = Some(report),
            Report::Pruned(report) => pruned = Some(report),
            Report::Failed(report) => failure = Some(report),
            Report::Restored(_) => {}
        }
    }
    let word = |otherwise: &'static str| {
        let trouble = pod.trouble.as_deref().unwrap_or("its pod has failed");
        failure.map_or((otherwise, trouble), |failure| {
            (failure.reason.as_str(), failure.message.as_str())
        })
    };
    let Some(taken) = taken else {
        let (reason, message) = word(reason::POD_FAILED);
        return failed(backup, reason, message);
    };
    let stored = BackupStatus {
        source: Some(taken.source.clone()),
        engine: taken.engine_version.clone(),
        size_bytes: Some(taken.size_bytes),
        keys: taken.keys,
        sha256: Some(taken.sha256.clone()),
        ..backup.status.clone()
    };
    if pod.phase == TaskPhase::Failed {
        let (why, message) = word(reason::NOT_VERIFIED);
        return BackupStatus {
            phase: Some(BackupPhase::Failed),
            reason: Some(reason::NOT_VERIFIED.to_owned()),
            message: Some(if why == reason::NOT_VERIFIED {
                message.to_owned()
            } else {
                format!("{why}: {message}")
            }),
            verified: Some(false),
            ..stored
        };
    }
    BackupStatus {
        phase: Some(BackupPhase::Succeeded),
        reason: Some(reason::DONE.to_owned()),
        message: pruned
            .and_then(|pruned| pruned.failure.as_ref())
            .map(|why| format!("older backups are not deleted: {why}")),
        verified: verified.map(|_| true),
        ..stored
    }
}

/// What people are told of a change of a backup's status: that it began, is whole, or failed.
#[must_use]
pub fn told(before: &BackupStatus, after: &BackupStatus) -> BackupEvents {
    if before.phase == after.phase {
        return Vec::new();
    }
    let path = after.path.as_deref().unwrap_or_default();
    let (warning, word, note) = match after.phase {
        Some(BackupPhase::Running) => (false, "BackupStarted", format!("being stored as {path}")),
        Some(BackupPhase::Succeeded) => {
            let verified = match after.verified {
                Some(true) => ", loaded into an engine and found whole",
                _ => "",
            };
            let size = after.size_bytes.unwrap_or_default();
            let note = format!("stored as {path}, {size} bytes{verified}");
            (false, "BackupSucceeded", note)
        }
        Some(BackupPhase::Failed) => {
            let reason = after.reason.as_deref().unwrap_or_default();
            let message = after.message.as_deref().unwrap_or_default();
            (true, "BackupFailed", format!("{reason}: {message}"))
        }
        Some(BackupPhase::Pending) | None => return Vec::new(),
    };
    vec![EventDraft {
        warning,
        reason: word.to_owned(),
        action: "Backup".to_owned(),
        note,
    }]
}
