//! Who may reach the pods of a bus, and whom they may reach. A policy that selects a pod denies what no rule opens.

use super::meta;
use super::services::client_ports;
use crate::bus::{Bus, Platform};
use crate::names::{API_PORT, Component, HTTP_PORT, MANAGER};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const DNS_PORT: u16 = 53;

pub(super) fn policy(bus: &Bus, platform: &Platform, component: Component) -> NetworkPolicy {
    NetworkPolicy {
        metadata: meta::of_component(bus, bus.names.workload(component), component),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(meta::selector(meta::selector_labels(bus, component))),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![
                clients(bus, component),
                operator(platform),
                metrics(bus),
            ]),
            egress: Some(vec![peers(bus), dns()]),
        }),
    }
}

/// Services, and the bus's own pods, which are in the same namespace.
fn clients(bus: &Bus, component: Component) -> NetworkPolicyIngressRule {
    let own_namespace = NetworkPolicyPeer {
        pod_selector: Some(LabelSelector::default()),
        ..NetworkPolicyPeer::default()
    };
    let others = bus
        .spec
        .access
        .namespaces
        .clone()
        .map(|selector| NetworkPolicyPeer {
            namespace_selector: Some(selector),
            ..NetworkPolicyPeer::default()
        });
    NetworkPolicyIngressRule {
        from: Some([own_namespace].into_iter().chain(others).collect()),
        ports: Some(tcp(client_ports(bus, component)
            .into_iter()
            .map(|(_, port)| port))),
    }
}

fn operator(platform: &Platform) -> NetworkPolicyIngressRule {
    let namespace = [(
        "kubernetes.io/metadata.name",
        platform.operator_namespace.as_str(),
    )];
    NetworkPolicyIngressRule {
        from: Some(vec![NetworkPolicyPeer {
            namespace_selector: Some(meta::selector(meta::text(namespace))),
            pod_selector: Some(meta::selector(meta::text([(
                "app.kubernetes.io/name",
                MANAGER,
            )]))),
            ..NetworkPolicyPeer::default()
        }]),
        ports: Some(tcp([API_PORT])),
    }
}

fn metrics(bus: &Bus) -> NetworkPolicyIngressRule {
    // An empty selector selects all.
    let namespaces = bus.spec.access.metrics.clone().unwrap_or_default();
    NetworkPolicyIngressRule {
        from: Some(vec![NetworkPolicyPeer {
            namespace_selector: Some(namespaces),
            ..NetworkPolicyPeer::default()
        }]),
        ports: Some(tcp([HTTP_PORT])),
    }
}

fn peers(bus: &Bus) -> NetworkPolicyEgressRule {
    let ports = [Component::Redis, Component::Sentinel]
        .into_iter()
        .flat_map(|component| client_ports(bus, component))
        .map(|(_, port)| port);
    NetworkPolicyEgressRule {
        to: Some(vec![NetworkPolicyPeer {
            pod_selector: Some(meta::pods_of_bus(bus)),
            ..NetworkPolicyPeer::default()
        }]),
        ports: Some(tcp(ports)),
    }
}

/// Wherever the cluster's DNS is: some clusters have it on the node.
fn dns() -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: None,
        ports: Some(vec![port("UDP", DNS_PORT), port("TCP", DNS_PORT)]),
    }
}

fn tcp(ports: impl IntoIterator<Item = u16>) -> Vec<NetworkPolicyPort> {
    ports
        .into_iter()
        .map(|number| port("TCP", number))
        .collect()
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(number.into())),
        ..NetworkPolicyPort::default()
    }
}
