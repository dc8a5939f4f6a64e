//! Objects of backups that have outlived themselves, as what is stored has: that is deleted by the pod of a newer backup.

use super::super::retention::{Kept, outlived};
use super::{BackupAction, BackupView};
use crate::bus::Bus;
use cachebus_api::status::BackupPhase;

/// Failed backups of the schedule whose objects are kept, with their pods' logs.
const FAILED: usize = 3;

pub(super) fn tidy(bus: &Bus, all: &[&BackupView]) -> Vec<BackupAction> {
    let in_phase = |phase| {
        all.iter()
            .copied()
            .filter(move |backup| backup.status.phase == Some(phase))
    };
    let scheduled = |phase| in_phase(phase).filter(|backup| backup.scheduled);
    let whole: Vec<Kept> = scheduled(BackupPhase::Succeeded).map(kept).collect();
    // What the pod of the newest one went by.
    let newest = whole.iter().map(|kept| kept.taken_at_s).max();
    let settings = bus.spec.backup.as_ref();
    let retention = settings.and_then(|settings| settings.retention.as_ref());
    let old = match (retention, newest) {
        (Some(retention), Some(newest)) => outlived(&whole, retention, newest),
        _ => Vec::new(),
    };
    let failed: Vec<&BackupView> = scheduled(BackupPhase::Failed).collect();
    let surplus = failed.len().saturating_sub(FAILED);
    let failed = failed
        .iter()
        .take(surplus)
        .map(|backup| backup.name.clone());
    // Also of those that a person asked for.
    let swept = in_phase(BackupPhase::Succeeded).filter_map(BackupView::sweep);
    old.into_iter()
        .chain(failed)
        .map(|name| BackupAction::Forget { name })
        .chain(swept)
        .collect()
}

fn kept(backup: &BackupView) -> Kept {
    let since = backup.status.started_at.as_ref();
    let since = since.and_then(|since| u64::try_from(since.0.as_second()).ok());
    Kept {
        backup: backup.name.clone(),
        scheduled: backup.scheduled,
        taken_at_s: since.unwrap_or_default(),
    }
}
