//! The Services of a bus.

use super::meta;
use crate::bus::Bus;
use crate::config;
use crate::names::{Component, HTTP_PORT};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Name of the agents' port for probes and metrics.
pub(super) const HTTP: &str = "http";

/// The ports of a component that clients use, by name: the bus's own, and the one for plain text where there is one.
/// Container ports, Services and EndpointSlices call them alike.
pub(super) fn client_ports(bus: &Bus, component: Component) -> Vec<(String, u16)> {
    let plaintext =
        config::plaintext_port(bus, component).map(|port| (format!("{component}-plain"), port));
    [(component.to_string(), config::port(bus, component))]
        .into_iter()
        .chain(plaintext)
        .collect()
}

/// The headless Service that gives each pod its DNS name. Pods that are not ready have theirs: Sentinels and replicas know
/// one another by name from the first second.
pub(super) fn nodes(bus: &Bus, component: Component) -> Service {
    let mut ports = client_ports(bus, component);
    ports.push((HTTP.to_owned(), HTTP_PORT));
    Service {
        metadata: meta::of_component(bus, bus.names.nodes_service(component), component),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(meta::selector_labels(bus, component)),
            ports: Some(service_ports(ports)),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// A Service without selector: the operator writes where it leads, so that one write moves it.
pub(super) fn routed(bus: &Bus, name: &str) -> Service {
    Service {
        metadata: meta::of_component(bus, name.to_owned(), Component::Redis),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            ports: Some(service_ports(client_ports(bus, Component::Redis))),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// The Service by which clients find a Sentinel.
pub(super) fn sentinels(bus: &Bus) -> Service {
    let component = Component::Sentinel;
    Service {
        metadata: meta::of_component(bus, bus.names.sentinel_service(), component),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(meta::selector_labels(bus, component)),
            ports: Some(service_ports(client_ports(bus, component))),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn service_ports(ports: Vec<(String, u16)>) -> Vec<ServicePort> {
    ports
        .into_iter()
        .map(|(name, port)| ServicePort {
            name: Some(name),
            port: port.into(),
            protocol: Some("TCP".to_owned()),
            target_port: Some(IntOrString::Int(port.into())),
            ..ServicePort::default()
        })
        .collect()
}
