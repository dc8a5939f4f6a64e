//! The StatefulSets.

use super::{meta, pod, volumes};
use crate::bus::{Bus, Platform};
use crate::names::Component;
use crate::observed::ClaimTemplate;
use cachebus_api::persistence::Reclaim;
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
    StatefulSetUpdateStrategy,
};

/// The pods of a component, with this claim template.
pub(super) fn stateful_set(
    bus: &Bus,
    platform: &Platform,
    component: Component,
    replicas: u32,
    claim: &ClaimTemplate,
) -> StatefulSet {
    StatefulSet {
        metadata: meta::of_component(bus, bus.names.workload(component), component),
        spec: Some(StatefulSetSpec {
            replicas: i32::try_from(replicas).ok(),
            service_name: Some(bus.names.nodes_service(component)),
            selector: meta::selector(meta::selector_labels(bus, component)),
            // After a total restart every copy has to report before one may lead: none waits for another.
            pod_management_policy: Some("Parallel".to_owned()),
            // The operator decides the order of a rollout.
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            persistent_volume_claim_retention_policy: Some(
                StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some(when_deleted(bus).to_owned()),
                    when_scaled: Some("Retain".to_owned()),
                },
            ),
            template: pod::template(bus, platform, component),
            volume_claim_templates: Some(vec![volumes::claim(claim)]),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn when_deleted(bus: &Bus) -> &'static str {
    match bus.spec.storage.reclaim {
        Reclaim::Retain => "Retain",
        Reclaim::Delete => "Delete",
    }
}
