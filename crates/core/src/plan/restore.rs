//! A bus that begins with a backup: its data pods wait until the volume of the first one holds it.

use super::Plan;
use super::blocked::{Blocked, reason};
use super::view::{View, time};
use crate::backup::{Report, RestoreTask, Task, TaskPhase};
use crate::bus::Bus;
use crate::names::Component;
use crate::observed::Observed;
use crate::protocol::DataStatus;
use cachebus_api::status::Restored;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// What is to be done about the pod that restores a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restoration {
    /// Nothing.
    None,
    /// Make the claim of the first data pod, and a pod that does this on it. There may be either already.
    Begin(Box<Task>),
    /// Delete that pod: it is done, or ended in a way from which kubelet does not start it again.
    Sweep,
}

/// Whether a bus has yet to get the backup that it begins with. Once it has had a primary it never gets one.
pub(crate) fn awaits(bus: &Bus, observed: &Observed) -> bool {
    let status = &observed.status;
    let topology = status.topology.as_ref();
    let has_begun = topology.is_some_and(|known| known.primary.is_some() || known.target.is_some());
    bus.spec.bootstrap.is_some() && status.restored.is_none() && !has_begun
}

/// Whether the data that a primary is chosen by must be that of the backup.
pub(crate) fn only_restored(view: &View<'_>) -> bool {
    view.bus.spec.bootstrap.is_some() && view.topology.primary.is_none()
}

/// Whether a copy is not of this bus, whose volumes were to be empty: an earlier one of its name left it.
pub(crate) fn is_foreign(view: &View<'_>, data: &DataStatus) -> bool {
    View::has_data(data) && view.own_marker(data).is_none()
}

/// Decides what is to be done about the pod that restores a backup.
#[must_use]
pub fn restoration(bus: &Bus, observed: &Observed) -> Restoration {
    if bus.spec.paused || bus.spec.hibernated {
        return Restoration::None;
    }
    let pod = observed.backups.restoring.as_ref();
    if !awaits(bus, observed) {
        return pod.map_or(Restoration::None, |_| Restoration::Sweep);
    }
    let Some(bootstrap) = &bus.spec.bootstrap else {
        return Restoration::None;
    };
    match pod.map(|pod| pod.phase) {
        None => Restoration::Begin(Box::new(Task::Restore(RestoreTask {
            destination: bootstrap.from_backup.destination.clone(),
            path: bootstrap.from_backup.path.clone(),
            uid: bus.uid.clone(),
            pod: bus.names.pod(Component::Redis, 0),
        }))),
        Some(TaskPhase::Failed) => Restoration::Sweep,
        Some(TaskPhase::Live | TaskPhase::Succeeded) => Restoration::None,
    }
}

/// What is noted of a backup once it is on its volume. It is noted once.
pub(crate) fn noted(bus: &Bus, observed: &Observed) -> Option<Restored> {
    if observed.status.restored.is_some() || !awaits(bus, observed) {
        return observed.status.restored.clone();
    }
    let reports = &observed.backups.restoring.as_ref()?.reports;
    let restored = reports.iter().find_map(|report| match report {
        Report::Restored(restored) => Some(restored),
        Report::Taken(_) | Report::Verified(_) | Report::Pruned(_) | Report::Failed(_) => None,
    })?;
    let taken_at = i64::try_from(restored.taken_at_s).ok();
    let taken_at = taken_at.and_then(|seconds| Timestamp::from_second(seconds).ok());
    Some(Restored {
        path: bus.spec.bootstrap.as_ref()?.from_backup.path.clone(),
        keys: restored.keys,
        taken_at: Time(taken_at.unwrap_or_default()),
        at: time(observed.now_ms),
    })
}

/// Says that the bus waits for its backup. What comes of that is an event, but that the pods may start now is known to nobody
/// else.
pub(super) fn wait(view: &View<'_>, plan: &mut Plan) {
    let pod = view.observed.backups.restoring.as_ref();
    let failure = pod.and_then(|pod| {
        pod.reports.iter().find_map(|report| match report {
            Report::Failed(failure) => Some(format!("{}: {}", failure.reason, failure.message)),
            Report::Taken(_) | Report::Verified(_) | Report::Pruned(_) | Report::Restored(_) => {
                None
            }
        })
    });
    let trouble = pod.and_then(|pod| pod.trouble.clone());
    let blocked = match failure.or(trouble) {
        Some(why) => Blocked::new(
            reason::RESTORE_FAILED,
            format!("the backup cannot be restored, it is tried again: {why}"),
        ),
        None => Blocked::new(
            reason::RESTORING,
            "the backup that the bus begins with is being restored".to_owned(),
        ),
    };
    if noted(view.bus, view.observed).is_some() {
        plan.wait(blocked);
    } else {
        plan.stuck(blocked);
    }
}
