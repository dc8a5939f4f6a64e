//! Which nodes the pods go to.

use super::meta;
use crate::bus::Bus;
use crate::names::Component;
use cachebus_api::pods::Spread;
use k8s_openapi::api::core::v1::{
    Affinity, PodAffinityTerm, PodAntiAffinity, TopologySpreadConstraint, WeightedPodAffinityTerm,
};

const NODE: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Pods of a component keep to different nodes, and to different zones where there are several.
///
/// Zones are kept apart by affinity, not by a spread constraint: for that, the scheduler counts a node without a zone as the
/// worst of all, and puts two pods on one node sooner than one there.
pub(super) fn affinity(bus: &Bus, component: Component) -> Affinity {
    let apart = |key: &str| PodAffinityTerm {
        label_selector: Some(meta::selector(meta::selector_labels(bus, component))),
        topology_key: key.to_owned(),
        ..PodAffinityTerm::default()
    };
    let preferred = |weight, key| WeightedPodAffinityTerm {
        weight,
        pod_affinity_term: apart(key),
    };
    let (required, preferred) = match bus.spec.pods.spread {
        Spread::Required => (Some(vec![apart(NODE)]), vec![preferred(50, ZONE)]),
        Spread::Preferred => (None, vec![preferred(100, NODE), preferred(50, ZONE)]),
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: required,
            preferred_during_scheduling_ignored_during_execution: Some(preferred),
        }),
        ..Affinity::default()
    }
}

/// Where there are more pods of a component than nodes, each node has as many.
pub(super) fn spread(bus: &Bus, component: Component) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: NODE.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(meta::selector(meta::selector_labels(bus, component))),
        ..TopologySpreadConstraint::default()
    }
}
