//! How a backup begins.

use super::super::manifest::folder;
use super::super::task::{BackupTask, PruneTask, Source, Task, VerifyTask};
use super::{BackupAction, BackupView, backup_reason as reason};
use crate::bus::Bus;
use crate::config::agent_json;
use crate::names::Component;
use crate::observed::Observed;
use crate::plan::orders::linked;
use crate::plan::view::{View, time};
use crate::protocol::Phase;
use cachebus_api::BackupStatus;
use cachebus_api::backup::{Destination, Encryption};
use cachebus_api::status::BackupPhase;

/// What a backup is to be, with what its bus says of it.
struct Wanted {
    destination: Destination,
    encryption: Option<Encryption>,
    verify: bool,
}

pub(super) fn start(bus: &Bus, observed: &Observed, backup: &BackupView) -> Vec<BackupAction> {
    let now = time(observed.now_ms);
    let Some(wanted) = wanted(bus, backup) else {
        let message = "neither the backup nor spec.backup of its bus says where it goes".to_owned();
        let failed = BackupStatus {
            phase: Some(BackupPhase::Failed),
            reason: Some(reason::NO_DESTINATION.to_owned()),
            message: Some(message),
            finished_at: Some(now),
            ..backup.status.clone()
        };
        return backup.report(failed).into_iter().collect();
    };
    let sources = sources(&View::new(bus, observed));
    if sources.is_empty() {
        let message = if bus.spec.hibernated {
            "the bus is hibernated"
        } else {
            "no replica is in sync"
        };
        let pending = BackupStatus {
            phase: Some(BackupPhase::Pending),
            reason: Some(reason::NO_SOURCE.to_owned()),
            message: Some(message.to_owned()),
            ..backup.status.clone()
        };
        return backup.report(pending).into_iter().collect();
    }
    let names = &bus.names;
    let path = folder(names.namespace(), names.bus(), &backup.name);
    let running = BackupStatus {
        phase: Some(BackupPhase::Running),
        reason: Some(reason::RUNNING.to_owned()),
        message: None,
        started_at: Some(now),
        destination: Some(for_people(&wanted.destination)),
        path: Some(path.clone()),
        encrypted: Some(wanted.encryption.is_some()),
        ..BackupStatus::default()
    };
    let action = BackupAction::Start {
        name: backup.name.clone(),
        tasks: tasks(bus, backup, &wanted, sources, path),
        destination: Box::new(wanted.destination),
        encryption: wanted.encryption,
    };
    [action].into_iter().chain(backup.report(running)).collect()
}

/// `None`: nobody says where it goes.
fn wanted(bus: &Bus, backup: &BackupView) -> Option<Wanted> {
    let of_bus = bus.spec.backup.as_ref();
    let spec = &backup.spec;
    let verify = spec.verify.or(of_bus.map(|settings| settings.verify));
    let (destination, encryption) = if let Some(destination) = &spec.destination {
        (destination.clone(), None)
    } else {
        let settings = of_bus?;
        (settings.destination.clone(), settings.encryption.clone())
    };
    Some(Wanted {
        destination,
        encryption: spec.encryption.clone().or(encryption),
        verify: verify.unwrap_or_default(),
    })
}

fn tasks(
    bus: &Bus,
    backup: &BackupView,
    wanted: &Wanted,
    sources: Vec<Source>,
    path: String,
) -> Vec<Task> {
    let agent = agent_json(bus);
    let settings = bus.spec.backup.as_ref();
    let retention = settings.and_then(|settings| settings.retention.clone());
    let prune = retention.filter(|_| backup.scheduled).map(|retention| {
        Task::Prune(PruneTask {
            bus: agent.bus.clone(),
            namespace: agent.namespace.clone(),
            uid: agent.uid.clone(),
            destination: wanted.destination.clone(),
            retention,
        })
    });
    let take = Task::Backup(Box::new(BackupTask {
        bus: agent.bus,
        namespace: agent.namespace,
        uid: agent.uid,
        backup: backup.name.clone(),
        scheduled: backup.scheduled,
        destination: wanted.destination.clone(),
        encrypted: wanted.encryption.is_some(),
        sources,
        port: agent.port,
        tls: agent.tls,
    }));
    let verify = wanted.verify.then(|| {
        Task::Verify(VerifyTask {
            destination: wanted.destination.clone(),
            path,
            engine: agent.engine,
        })
    });
    // What went before it has succeeded by then: nothing is deleted for a backup that is not whole, or not what it should be.
    [take].into_iter().chain(verify).chain(prune).collect()
}

/// The data pods that can give a backup, in the order in which they are asked: replicas in sync. The primary gives one only
/// where there shall be no replica: it has clients to serve, and Sentinels would take the pod for one of its replicas.
fn sources(view: &View<'_>) -> Vec<Source> {
    let names = &view.bus.names;
    let gives = |pod: &str| match view.data(pod) {
        Some(_) if view.terminating(pod) => false,
        Some(data) if view.bus.spec.replicas == 0 => data.phase == Phase::Leading,
        Some(data) => matches!(data.phase, Phase::Following(_)) && linked(data),
        None => false,
    };
    let pods = view.nodes.iter().rev().filter(|pod| gives(pod));
    pods.map(|pod| Source {
        pod: pod.clone(),
        host: names.pod_fqdn(Component::Redis, pod),
    })
    .collect()
}

/// Where a backup goes, for people.
fn for_people(destination: &Destination) -> String {
    match (&destination.s3, &destination.volume) {
        (Some(s3), _) if s3.prefix.is_empty() => format!("s3://{}", s3.bucket),
        (Some(s3), _) => format!("s3://{}/{}", s3.bucket, s3.prefix),
        (None, Some(volume)) => format!("claim {}", volume.claim_name),
        (None, None) => String::new(),
    }
}
