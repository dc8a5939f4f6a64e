//! How many pods a drain may take at once.

use super::meta;
use crate::bus::Bus;
use crate::names::Component;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(super) fn budget(bus: &Bus, component: Component) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: meta::of_component(bus, bus.names.workload(component), component),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(meta::selector(meta::selector_labels(bus, component))),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
