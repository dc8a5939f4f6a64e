//! The containers: one that installs the agent, and the agent with the server it runs.

use super::services::{HTTP, client_ports};
use super::{resources, volumes};
use crate::bus::{Bus, Platform};
use crate::names::{API_PORT, BIN_DIR, Component, HTTP_PORT};
use cachebus_api::engine::ImagePullPolicy;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, Probe, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Seconds that a server may take to load its data before it is started again: an hour, enough for some 300 GiB at 100 MiB/s.
const STARTUP_SECONDS: i32 = 3_600;

pub(super) fn agent_path() -> String {
    format!("{BIN_DIR}/cachebus")
}

/// Puts the agent into the pod. The image's entry point is the program itself.
pub(super) fn install(platform: &Platform) -> Container {
    Container {
        name: "install".to_owned(),
        image: Some(platform.agent_image.clone()),
        image_pull_policy: Some(platform.agent_pull_policy.clone())
            .filter(|policy| !policy.is_empty()),
        args: Some(vec!["install".to_owned(), agent_path()]),
        resources: Some(resources::install()),
        security_context: Some(security()),
        volume_mounts: Some(volumes::install_mounts()),
        ..Container::default()
    }
}

/// The agent, which runs the server.
pub(super) fn agent(bus: &Bus, component: Component) -> Container {
    Container {
        name: component.to_string(),
        image: Some(bus.image.clone()),
        image_pull_policy: bus.spec.engine.image_pull_policy.map(pull_policy),
        command: Some(vec![
            agent_path(),
            "agent".to_owned(),
            component.to_string(),
        ]),
        env: Some(vec![pod_name()]),
        ports: Some(ports(bus, component)),
        resources: Some(resources::agent(bus, component)),
        startup_probe: Some(Probe {
            failure_threshold: Some(STARTUP_SECONDS),
            ..probe("/startupz", 1)
        }),
        readiness_probe: Some(probe("/readyz", 2)),
        liveness_probe: Some(Probe {
            timeout_seconds: Some(5),
            ..probe("/livez", 10)
        }),
        // The last lines of the log say why a server could not start.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        security_context: Some(security()),
        volume_mounts: Some(volumes::mounts()),
        ..Container::default()
    }
}

pub(super) fn pull_policy(policy: ImagePullPolicy) -> String {
    match policy {
        ImagePullPolicy::Always => "Always",
        ImagePullPolicy::IfNotPresent => "IfNotPresent",
        ImagePullPolicy::Never => "Never",
    }
    .to_owned()
}

fn pod_name() -> EnvVar {
    EnvVar {
        name: "POD_NAME".to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: "metadata.name".to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn ports(bus: &Bus, component: Component) -> Vec<ContainerPort> {
    client_ports(bus, component)
        .into_iter()
        .chain([(HTTP.to_owned(), HTTP_PORT), ("api".to_owned(), API_PORT)])
        .map(|(name, port)| ContainerPort {
            name: Some(name),
            container_port: port.into(),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        })
        .collect()
}

fn probe(path: &str, period: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(HTTP.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(2),
        failure_threshold: Some(3),
        ..Probe::default()
    }
}

pub(super) fn security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}
