//! Volumes of the pods and where they are mounted.

use crate::bus::Bus;
use crate::names::{
    ACL_DIR, AUTH_DIR, BIN_DIR, CONFIG_DIR, Component, DATA_CLAIM, DATA_DIR, ETC_HOSTS, HOSTS,
    REDIS_ACL, RUN_DIR, SENTINEL_ACL, TLS_DIR,
};
use crate::observed::ClaimTemplate;
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, KeyToPath, PersistentVolumeClaim,
    PersistentVolumeClaimSpec, SecretVolumeSource, Volume, VolumeMount, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

const RUN: &str = "run";
const BIN: &str = "bin";
const CONFIG: &str = "config";
const ACL: &str = "acl";
const AUTH: &str = "auth";
const TLS: &str = "tls";

/// For owner and group (`fsGroup`) to read, for nobody to write: 0440.
pub(super) const READ_ONLY: i32 = 0o440;

/// What the claim of each pod's own volume is to ask for.
pub(crate) fn wanted_claim(bus: &Bus, component: Component) -> ClaimTemplate {
    let storage = &bus.spec.storage;
    let size = match component {
        Component::Redis => &storage.size,
        Component::Sentinel => &bus.spec.sentinel.storage_size,
    };
    ClaimTemplate {
        size: size.as_str().to_owned(),
        class: storage.storage_class_name.clone(),
    }
}

/// The claim of each pod's own volume. A StatefulSet is made anew for each change in it, so it has no labels.
pub(super) fn claim(template: &ClaimTemplate) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(DATA_CLAIM.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: template.class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".to_owned(),
                    Quantity(template.size.clone()),
                )])),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

/// The volumes besides the claim.
pub(super) fn volumes(bus: &Bus, component: Component) -> Vec<Volume> {
    let acl = match component {
        Component::Redis => REDIS_ACL,
        Component::Sentinel => SENTINEL_ACL,
    };
    vec![
        empty(RUN, Some("Memory"), "16Mi"),
        binaries(),
        Volume {
            name: CONFIG.to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: bus.names.config(),
                default_mode: Some(READ_ONLY),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        secret(ACL, bus.names.acl(), Some(acl)),
        secret(AUTH, bus.names.auth(component), None),
        secret(TLS, bus.names.serving_certificate(), None),
    ]
}

/// Where the agent is installed.
pub(super) fn binaries() -> Volume {
    empty(BIN, None, "256Mi")
}

pub(super) fn empty(name: &str, medium: Option<&str>, limit: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: medium.map(str::to_owned),
            size_limit: Some(Quantity(limit.to_owned())),
        }),
        ..Volume::default()
    }
}

/// A Secret, or one entry of it.
pub(super) fn secret(name: &str, secret: String, entry: Option<&str>) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret),
            default_mode: Some(READ_ONLY),
            items: entry.map(|entry| {
                vec![KeyToPath {
                    key: entry.to_owned(),
                    path: entry.to_owned(),
                    mode: None,
                }]
            }),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Mounts of the agent's container.
pub(super) fn mounts() -> Vec<VolumeMount> {
    vec![
        mount(DATA_CLAIM, DATA_DIR, false),
        mount(RUN, RUN_DIR, false),
        binaries_mount(),
        VolumeMount {
            sub_path: Some(HOSTS.to_owned()),
            ..mount(BIN, ETC_HOSTS, false)
        },
        mount(CONFIG, CONFIG_DIR, true),
        mount(ACL, ACL_DIR, true),
        mount(AUTH, AUTH_DIR, true),
        mount(TLS, TLS_DIR, true),
    ]
}

/// Mount of a container that runs the installed agent.
pub(super) fn binaries_mount() -> VolumeMount {
    mount(BIN, BIN_DIR, true)
}

/// Mount of the container that installs the agent.
pub(super) fn install_mounts() -> Vec<VolumeMount> {
    vec![mount(BIN, BIN_DIR, false)]
}

pub(super) fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}
