//! Identities of the pods. They have no rights, and no token is mounted.

use super::meta;
use crate::bus::Bus;
use crate::names::Component;
use k8s_openapi::api::core::v1::ServiceAccount;

pub(super) fn account(bus: &Bus, component: Component) -> ServiceAccount {
    ServiceAccount {
        metadata: meta::of_component(bus, bus.names.workload(component), component),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
