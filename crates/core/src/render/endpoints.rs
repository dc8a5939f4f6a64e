//! Where the Services without selector lead.

use super::services::client_ports;
use super::{Endpoint, meta};
use crate::bus::Bus;
use crate::names::{Component, MANAGER};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1::{
    Endpoint as SliceEndpoint, EndpointConditions, EndpointPort, EndpointSlice,
};

/// The EndpointSlice of a Service, which has the Service's name.
pub(super) fn slice(bus: &Bus, service: &str, endpoints: &[Endpoint]) -> EndpointSlice {
    let mut metadata = meta::of_component(bus, service.to_owned(), Component::Redis);
    metadata.labels.get_or_insert_default().extend(meta::text([
        ("kubernetes.io/service-name", service),
        ("endpointslice.kubernetes.io/managed-by", MANAGER),
    ]));
    EndpointSlice {
        metadata,
        address_type: "IPv4".to_owned(),
        endpoints: endpoints
            .iter()
            .map(|endpoint| slice_endpoint(bus, endpoint))
            .collect(),
        ports: Some(
            client_ports(bus, Component::Redis)
                .into_iter()
                .map(|(name, port)| EndpointPort {
                    name: Some(name),
                    port: Some(port.into()),
                    protocol: Some("TCP".to_owned()),
                    ..EndpointPort::default()
                })
                .collect(),
        ),
    }
}

fn slice_endpoint(bus: &Bus, endpoint: &Endpoint) -> SliceEndpoint {
    SliceEndpoint {
        addresses: vec![endpoint.ip.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(endpoint.ready),
            serving: Some(endpoint.ready),
            terminating: Some(false),
        }),
        node_name: endpoint.node.clone(),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: Some(bus.names.namespace().to_owned()),
            name: Some(endpoint.pod.clone()),
            ..ObjectReference::default()
        }),
        ..SliceEndpoint::default()
    }
}
