//! The pods.

use super::{container, meta, placement, resources, volumes};
use crate::bus::{Bus, Platform};
use crate::names::Component;
use cachebus_api::GROUP;
use k8s_openapi::api::core::v1::{
    LocalObjectReference, PodDNSConfig, PodDNSConfigOption, PodSecurityContext, PodSpec,
    PodTemplateSpec, SeccompProfile,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// User and group of every process, those of the engines' public images.
const USER: i64 = 999;

/// Seconds for all that a data node does at its end but saving: it hands its lead over and waits until its clients have gone,
/// 7 s at most, 33 s where a Sentinel has to fail over for that, and then until its replicas have caught up, 30 s at most
/// (`shutdown-timeout`).
const FAREWELL: u64 = 70;
/// Bytes of a snapshot that are surely written in a second. They are compressed by one core on their way, and what is freed a
/// little later is still written, so this is half of what is taken for reading.
const SAVED_A_SECOND: u64 = 50 << 20;

/// Time that a pod gets to end, seconds. It follows from the container's memory limit, which is in the template as well, so
/// that it marks no rollout of its own.
fn grace_period(bus: &Bus, component: Component) -> i64 {
    let seconds = match component {
        Component::Redis => {
            let most = resources::memory_limit_of_data_nodes(bus).unwrap_or_default();
            FAREWELL + most / SAVED_A_SECOND
        }
        Component::Sentinel => 10,
    };
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// The template of a component's pods. Nothing is in it that can be changed in a running server: such a change must not
/// mark a rollout.
pub(super) fn template(bus: &Bus, platform: &Platform, component: Component) -> PodTemplateSpec {
    let settings = &bus.spec.pods;
    let mut labels = foreign(&settings.labels);
    labels.extend(meta::component_labels(bus, component));
    let annotations = foreign(&settings.annotations);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(spec(bus, platform, component)),
    }
}

/// What is the bus's own business stays out: agents and operator go by it.
fn foreign(texts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = format!("{GROUP}/");
    texts
        .iter()
        .filter(|(key, _)| !key.starts_with(&own))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn spec(bus: &Bus, platform: &Platform, component: Component) -> PodSpec {
    let settings = &bus.spec.pods;
    PodSpec {
        service_account_name: Some(bus.names.workload(component)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(grace_period(bus, component)),
        security_context: Some(security()),
        dns_config: Some(dns()),
        image_pull_secrets: pull_secrets(bus),
        init_containers: Some(vec![container::install(platform)]),
        containers: vec![container::agent(bus, component)],
        volumes: Some(volumes::volumes(bus, component)),
        affinity: Some(placement::affinity(bus, component)),
        topology_spread_constraints: Some(vec![placement::spread(bus, component)]),
        node_selector: (!settings.node_selector.is_empty()).then(|| settings.node_selector.clone()),
        tolerations: some(settings.tolerations.clone()),
        priority_class_name: settings.priority_class_name.clone(),
        ..PodSpec::default()
    }
}

/// Pods are reached by IPv4 only: where a server asks DNS itself, the question for another address is spared. A C library that does
/// not know the option asks as ever.
fn dns() -> PodDNSConfig {
    let option = PodDNSConfigOption {
        name: Some("no-aaaa".to_owned()),
        value: None,
    };
    PodDNSConfig {
        options: Some(vec![option]),
        ..PodDNSConfig::default()
    }
}

pub(super) fn pull_secrets(bus: &Bus) -> Option<Vec<LocalObjectReference>> {
    let names = bus.spec.engine.image_pull_secrets.iter();
    some(
        names
            .map(|name| LocalObjectReference { name: name.clone() })
            .collect(),
    )
}

pub(super) fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

pub(super) fn security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}
