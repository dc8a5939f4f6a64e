//! The backups of a bus, and the pods that make and restore them.

use super::trouble::trouble;
use crate::context::Context;
use crate::partial::{ContainerStatus, PartialPod};
use crate::watches::WatchedBackup;
use cachebus_core::backup::{BackupView, Backups, Report, TaskPhase, TaskPod};
use cachebus_core::bus::Bus;
use cachebus_core::names::SCHEDULED_LABEL;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;

/// Everything of them, without asking anybody.
pub fn backups(context: &Context, bus: &Bus) -> Backups {
    let all = context.stores.backups.state();
    Backups {
        all: all
            .iter()
            .filter_map(|backup| view(context, bus, backup))
            .collect(),
        restoring: pod(context, bus, &bus.names.restore_pod(), &bus.uid),
    }
}

fn view(context: &Context, bus: &Bus, backup: &WatchedBackup) -> Option<BackupView> {
    let object = backup.0.as_ref().ok()?;
    let is_of_bus = object.spec.bus == bus.names.bus()
        && object.metadata.namespace.as_deref() == Some(bus.names.namespace())
        && object.metadata.deletion_timestamp.is_none();
    if !is_of_bus {
        return None;
    }
    let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
    let created = object.metadata.creation_timestamp.as_ref();
    let created_ms = created.and_then(|at| u64::try_from(at.0.as_millisecond()).ok());
    Some(BackupView {
        created_ms: created_ms.unwrap_or_default(),
        scheduled: object.labels().contains_key(SCHEDULED_LABEL),
        spec: object.spec.clone(),
        status: object.status.clone().unwrap_or_default(),
        pod: pod(context, bus, &bus.names.backup_pod(&name), &uid),
        name,
        uid,
    })
}

/// The pod of this name that an object with this UID controls.
fn pod(context: &Context, bus: &Bus, name: &str, owner: &str) -> Option<TaskPod> {
    let key = ObjectRef::<PartialPod>::new(name).within(bus.names.namespace());
    let pod = context.stores.pods.get(&key)?;
    let owners = pod.owner_references().iter();
    let is_its = owners
        .filter(|reference| reference.controller == Some(true))
        .any(|reference| reference.uid == owner);
    if !is_its || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let status = &pod.status;
    let containers = status.init_container_statuses.iter();
    Some(TaskPod {
        phase: match status.phase.as_deref() {
            Some("Succeeded") => TaskPhase::Succeeded,
            Some("Failed") => TaskPhase::Failed,
            _ => TaskPhase::Live,
        },
        reports: containers
            .chain(&status.container_statuses)
            .filter_map(said)
            .collect(),
        trouble: trouble(status),
    })
}

/// What a container said when it ended last.
fn said(container: &ContainerStatus) -> Option<Report> {
    let ended = container.state.terminated.as_ref();
    let ended = ended.or(container.last_state.terminated.as_ref())?;
    Report::parse(ended.message.as_deref()?)
}
