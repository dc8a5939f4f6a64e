//! The pods that make and restore backups, with what only they need.

use super::{container, meta, pod, resources, volumes};
use crate::backup::{TASK_VARIABLE, Task};
use crate::bus::{Bus, Platform};
use crate::credentials::REPLICATION;
use crate::names::{
    AGE_DIR, AUTH_DIR, BACKUP_DIR, COMPONENT_LABEL, Component, DATA_DIR, S3_CA_DIR, S3_DIR,
    TLS_DIR, WORK_DIR,
};
use cachebus_api::GROUP;
use cachebus_api::backup::{Destination, Encryption};
use k8s_openapi::api::core::v1::{
    Container, EnvVar, KeyToPath, PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod,
    PodSpec, SecretVolumeSource, ServiceAccount, Volume, VolumeMount,
};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use std::collections::BTreeMap;

/// Value of [`COMPONENT_LABEL`] on the pods that make and restore backups.
pub const BACKUP: &str = "backup";

const AUTH: &str = "auth";
const TLS: &str = "tls";
const CLAIM: &str = "backup";
const S3: &str = "s3";
const S3_CA: &str = "s3-ca";
const AGE: &str = "age";
const WORK: &str = "work";
const DATA: &str = "data";

/// Seconds that the pod of a backup may run: longer than the operator waits for it.
const DEADLINE_S: i64 = 7 * 3_600;

/// Where a backup lies, and with what it is decrypted.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Where it lies.
    pub destination: &'a Destination,
    /// With what it is encrypted.
    pub encryption: Option<&'a Encryption>,
}

/// Identity of the pods, without rights.
pub(super) fn account(bus: &Bus) -> ServiceAccount {
    ServiceAccount {
        metadata: of_backups(bus, bus.names.backups()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// Nobody reaches the pods. They reach whatever the destination is.
pub(super) fn policy(bus: &Bus) -> NetworkPolicy {
    NetworkPolicy {
        metadata: of_backups(bus, bus.names.backups()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(meta::selector(BTreeMap::from([
                (
                    crate::names::BUS_LABEL.to_owned(),
                    bus.names.bus().to_owned(),
                ),
                (COMPONENT_LABEL.to_owned(), BACKUP.to_owned()),
            ]))),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(Vec::new()),
            egress: Some(vec![NetworkPolicyEgressRule::default()]),
        }),
    }
}

/// The pod of a backup, owned by its object. It runs once.
#[must_use]
pub fn backup_pod(
    bus: &Bus,
    platform: &Platform,
    (backup, uid): (&str, &str),
    place: Place<'_>,
    tasks: &[Task],
) -> Pod {
    let mut metadata = of_backups(bus, bus.names.backup_pod(backup));
    metadata.owner_references = Some(vec![OwnerReference {
        api_version: format!("{GROUP}/v1alpha1"),
        kind: "CacheBusBackup".to_owned(),
        name: backup.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    }]);
    let mut steps = Vec::new();
    for task in tasks {
        match task {
            Task::Verify(_) => {
                steps.push(container::install(platform));
                steps.push(verify(bus, place, task));
            }
            Task::Prune(_) => steps.push(step(platform, "prune", task, place_mounts(place, false))),
            Task::Backup(_) | Task::Restore(_) => steps.push(take(platform, place, task)),
        }
    }
    let last = steps.pop();
    let mut volumes = common_volumes(place);
    volumes.extend([
        some_of(AUTH, bus.names.auth(Component::Redis), &[REPLICATION]),
        some_of(TLS, bus.names.serving_certificate(), &["ca.crt"]),
        volumes::empty(WORK, None, bus.spec.storage.size.as_str()),
        volumes::binaries(),
    ]);
    Pod {
        metadata,
        spec: Some(PodSpec {
            restart_policy: Some("Never".to_owned()),
            active_deadline_seconds: Some(DEADLINE_S),
            init_containers: Some(steps).filter(|steps| !steps.is_empty()),
            containers: last.into_iter().collect(),
            volumes: Some(volumes),
            ..base(bus)
        }),
        ..Pod::default()
    }
}

/// The pod that restores a backup to the first data pod's volume, owned by the bus. Kubelet starts it again until it succeeds.
#[must_use]
pub fn restore_pod(bus: &Bus, platform: &Platform, place: Place<'_>, task: &Task) -> Pod {
    let mut volumes = common_volumes(place);
    volumes.push(claim(
        DATA,
        &bus.names.claim(&bus.names.pod(Component::Redis, 0)),
        false,
    ));
    let mut mounts = place_mounts(place, true);
    mounts.push(volumes::mount(DATA, DATA_DIR, false));
    Pod {
        metadata: of_backups(bus, bus.names.restore_pod()),
        spec: Some(PodSpec {
            restart_policy: Some("OnFailure".to_owned()),
            containers: vec![step(platform, "restore", task, mounts)],
            volumes: Some(volumes),
            ..base(bus)
        }),
        ..Pod::default()
    }
}

/// The claim of the first data pod, as its StatefulSet would make it.
#[must_use]
pub fn restore_claim(bus: &Bus) -> PersistentVolumeClaim {
    let mut made = volumes::claim(&volumes::wanted_claim(bus, Component::Redis));
    made.metadata = ObjectMeta {
        name: Some(bus.names.claim(&bus.names.pod(Component::Redis, 0))),
        namespace: Some(bus.names.namespace().to_owned()),
        labels: Some(meta::selector_labels(bus, Component::Redis)),
        ..ObjectMeta::default()
    };
    made
}

fn of_backups(bus: &Bus, name: String) -> ObjectMeta {
    let mut metadata = meta::of_bus(bus, name);
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(COMPONENT_LABEL.to_owned(), BACKUP.to_owned());
    metadata
}

/// What data pods have too.
fn base(bus: &Bus) -> PodSpec {
    let settings = &bus.spec.pods;
    PodSpec {
        service_account_name: Some(bus.names.backups()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod::security()),
        image_pull_secrets: pod::pull_secrets(bus),
        node_selector: (!settings.node_selector.is_empty()).then(|| settings.node_selector.clone()),
        tolerations: pod::some(settings.tolerations.clone()),
        ..PodSpec::default()
    }
}

fn take(platform: &Platform, place: Place<'_>, task: &Task) -> Container {
    let mut mounts = place_mounts(place, false);
    mounts.push(volumes::mount(AUTH, AUTH_DIR, true));
    mounts.push(volumes::mount(TLS, TLS_DIR, true));
    step(platform, "backup", task, mounts)
}

/// A container that runs this program from its own image.
fn step(platform: &Platform, name: &str, task: &Task, mounts: Vec<VolumeMount>) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(platform.agent_image.clone()),
        image_pull_policy: Some(platform.agent_pull_policy.clone())
            .filter(|policy| !policy.is_empty()),
        args: Some(vec!["task".to_owned()]),
        env: Some(vec![variable(task)]),
        resources: Some(resources::transfer()),
        security_context: Some(container::security()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// The engine that loads a backup, with the memory of a data node.
fn verify(bus: &Bus, place: Place<'_>, task: &Task) -> Container {
    let mut mounts = place_mounts(place, true);
    mounts.push(volumes::mount(WORK, WORK_DIR, false));
    mounts.push(volumes::binaries_mount());
    Container {
        name: "verify".to_owned(),
        image: Some(bus.image.clone()),
        image_pull_policy: bus
            .spec
            .engine
            .image_pull_policy
            .map(container::pull_policy),
        command: Some(vec![container::agent_path(), "task".to_owned()]),
        env: Some(vec![variable(task)]),
        resources: Some(resources::agent(bus, Component::Redis)),
        security_context: Some(container::security()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn variable(task: &Task) -> EnvVar {
    EnvVar {
        name: TASK_VARIABLE.to_owned(),
        value: serde_json::to_string(task).ok(),
        ..EnvVar::default()
    }
}

fn common_volumes(place: Place<'_>) -> Vec<Volume> {
    let mut volumes = Vec::new();
    if let Some(s3) = &place.destination.s3 {
        let entries = ["access-key-id", "secret-access-key"];
        volumes.push(some_of(S3, s3.credentials_secret.clone(), &entries));
        if let Some(authorities) = &s3.ca_secret {
            volumes.push(some_of(S3_CA, authorities.clone(), &["ca.crt"]));
        }
    }
    if let Some(volume) = &place.destination.volume {
        volumes.push(claim(CLAIM, &volume.claim_name, false));
    }
    if let Some(encryption) = place.encryption {
        volumes.push(Volume {
            name: AGE.to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(encryption.secret_name.clone()),
                default_mode: Some(volumes::READ_ONLY),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    volumes
}

fn place_mounts(place: Place<'_>, read_only: bool) -> Vec<VolumeMount> {
    let mut mounts = Vec::new();
    if let Some(s3) = &place.destination.s3 {
        mounts.push(volumes::mount(S3, S3_DIR, true));
        if s3.ca_secret.is_some() {
            mounts.push(volumes::mount(S3_CA, S3_CA_DIR, true));
        }
    }
    if place.destination.volume.is_some() {
        mounts.push(volumes::mount(CLAIM, BACKUP_DIR, read_only));
    }
    if place.encryption.is_some() {
        mounts.push(volumes::mount(AGE, AGE_DIR, true));
    }
    mounts
}

fn claim(name: &str, claim: &str, read_only: bool) -> Volume {
    Volume {
        name: name.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: claim.to_owned(),
            read_only: read_only.then_some(true),
        }),
        ..Volume::default()
    }
}

/// Some entries of a Secret.
fn some_of(name: &str, secret: String, entries: &[&str]) -> Volume {
    let mut volume = volumes::secret(name, secret, None);
    if let Some(source) = &mut volume.secret {
        let items = entries.iter().map(|entry| KeyToPath {
            key: (*entry).to_owned(),
            path: (*entry).to_owned(),
            mode: None,
        });
        source.items = Some(items.collect());
    }
    volume
}
