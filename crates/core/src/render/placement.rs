//! Which nodes the pods go to.

use super::meta;
use crate::bus::Bus;
use crate::names::Component;
use cachebus_api::pods::Spread;
use k8s_openapi::api::core::v1::{
    Affinity, PodAffinityTerm, PodAntiAffinity, TopologySpreadConstraint, WeightedPodAffinityTerm,
};

/// Pods of a component keep to different nodes.
pub(super) fn affinity(bus: &Bus, component: Component) -> Affinity {
    let term = PodAffinityTerm {
        label_selector: Some(meta::selector(meta::selector_labels(bus, component))),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..PodAffinityTerm::default()
    };
    let anti_affinity = match bus.spec.pods.spread {
        Spread::Required => PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![term]),
            ..PodAntiAffinity::default()
        },
        Spread::Preferred => PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                WeightedPodAffinityTerm {
                    weight: 100,
                    pod_affinity_term: term,
                },
            ]),
            ..PodAntiAffinity::default()
        },
    };
    Affinity {
        pod_anti_affinity: Some(anti_affinity),
        ..Affinity::default()
    }
}

/// Pods of a component are spread over zones where there are several.
pub(super) fn zones(bus: &Bus, component: Component) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "topology.kubernetes.io/zone".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(meta::selector(meta::selector_labels(bus, component))),
        ..TopologySpreadConstraint::default()
    }
}
