//! The claims of a bus's pods, and what is asked of the cluster about their volumes, where that matters.

use crate::context::Context;
use crate::error::brief;
use crate::partial::{ClaimSpec, PartialClaim};
use cachebus_api::Bytes;
use cachebus_core::bus::Bus;
use cachebus_core::names::Component;
use cachebus_core::observed::{ClaimTemplate, ClaimView, Home, Node as Seen, SetView};
use cachebus_core::plan::grows;
use k8s_openapi::api::core::v1::{Node, PersistentVolume};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Label of a node that volumes name it by.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The StatefulSets of a bus.
pub fn sets(context: &Context, bus: &Bus) -> BTreeMap<Component, SetView> {
    let sets = [Component::Redis, Component::Sentinel].into_iter();
    sets.filter_map(|component| {
        let key = ObjectRef::new(&bus.names.workload(component)).within(bus.names.namespace());
        let set = context.stores.stateful_sets.get(&key)?;
        let view = SetView {
            uid: set.uid()?,
            claim: template(set.claim()?)?,
            terminating: set.metadata.deletion_timestamp.is_some(),
        };
        Some((component, view))
    })
    .collect()
}

fn template(claim: &ClaimSpec) -> Option<ClaimTemplate> {
    let size = claim.resources.requests.storage.as_deref()?;
    let class = claim.storage_class_name.as_deref();
    Some(ClaimTemplate {
        size: size.to_owned(),
        class: class.map(str::to_owned),
    })
}

/// Adds the claim of each pod of a component.
pub async fn look(
    context: &Context,
    bus: &Bus,
    component: Component,
    nodes: &mut BTreeMap<String, Seen>,
) {
    let mut classes = BTreeMap::new();
    for (pod, node) in nodes {
        let key = ObjectRef::new(&bus.names.claim(pod)).within(bus.names.namespace());
        let Some(claim) = context.stores.claims.get(&key) else {
            continue;
        };
        let mut view = view(&claim);
        if grows(bus, component, &view)
            && let Some(class) = view.class.clone()
        {
            if !classes.contains_key(&class) {
                classes.insert(class.clone(), expandable(context, &class).await);
            }
            view.expandable = classes[&class];
        }
        let waits = node.pod.as_ref().is_some_and(|pod| pod.node.is_none());
        if let Some(volume) = claim.spec.volume_name.as_deref().filter(|_| waits) {
            view.home = home(context, volume).await;
        }
        node.claim = Some(view);
    }
}

fn view(claim: &Arc<PartialClaim>) -> ClaimView {
    let bytes = |text: &Option<Box<str>>| Bytes::text(text.as_deref()?).get();
    let conditions = &claim.status.conditions;
    let holds = |types: &[&str]| {
        let mut held = conditions
            .iter()
            .filter(|condition| &*condition.status == "True");
        held.find(|condition| types.contains(&&*condition.type_))
    };
    ClaimView {
        uid: claim.uid().unwrap_or_default(),
        asked: bytes(&claim.spec.resources.requests.storage),
        has: bytes(&claim.status.capacity.storage),
        class: claim.spec.storage_class_name.as_deref().map(str::to_owned),
        terminating: claim.metadata.deletion_timestamp.is_some(),
        file_system_pending: holds(&["FileSystemResizePending"])
            .and_then(|condition| condition.last_transition_time.clone()),
        not_growing: holds(&["ControllerResizeError", "NodeResizeError"])
            .and_then(|condition| condition.message.as_deref().map(str::to_owned)),
        ..ClaimView::default()
    }
}

/// Whether a class lets volumes grow. `None`: it is not there, or may not be read.
async fn expandable(context: &Context, class: &str) -> Option<bool> {
    let api: Api<StorageClass> = Api::all(context.client.clone());
    match api.get_opt(class).await {
        Ok(found) => Some(found?.allow_volume_expansion == Some(true)),
        Err(error) => {
            tracing::warn!(class, error = brief(&error), "cannot read a storage class");
            None
        }
    }
}

/// Whether the node is gone to which a volume is bound.
async fn home(context: &Context, volume: &str) -> Home {
    let told = async {
        let volumes: Api<PersistentVolume> = Api::all(context.client.clone());
        let Some(volume) = volumes.get_opt(volume).await? else {
            return Ok(Home::Somewhere);
        };
        let hosts = hosts(&volume);
        if hosts.is_empty() {
            return Ok(Home::Somewhere);
        }
        let hosts = Vec::from_iter(hosts);
        let named = format!("{HOSTNAME} in ({})", hosts.join(","));
        let nodes: Api<Node> = Api::all(context.client.clone());
        let one = ListParams::default().labels(&named).limit(1);
        Ok(match nodes.list_metadata(&one).await?.items.first() {
            Some(_) => Home::Somewhere,
            None => Home::Gone(hosts.join(", ")),
        })
    };
    told.await
        .unwrap_or_else(|error: kube::Error| Home::Untold(brief(&error)))
}

/// The nodes on one of which a volume lies. None where it may be reached from nodes that are not named: then that none of them
/// is there proves nothing.
fn hosts(volume: &PersistentVolume) -> BTreeSet<String> {
    let affinity = volume
        .spec
        .as_ref()
        .and_then(|spec| spec.node_affinity.as_ref());
    let terms = affinity.and_then(|affinity| affinity.required.as_ref());
    let terms = terms.map_or(&[][..], |required| &required.node_selector_terms);
    let named = terms.iter().map(|term| {
        let mut expressions = term.match_expressions.iter().flatten();
        let host = expressions.find(|found| found.key == HOSTNAME && found.operator == "In")?;
        host.values.clone()
    });
    let named: Option<Vec<Vec<String>>> = named.collect();
    named.into_iter().flatten().flatten().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::hosts;
    use serde_json::{Value, json};

    fn of(terms: &Value) -> Vec<String> {
        let affinity = json!({"required": {"nodeSelectorTerms": terms}});
        let volume = json!({"metadata": {}, "spec": {"nodeAffinity": affinity}});
        let hosts = hosts(&serde_json::from_value(volume).unwrap());
        hosts.into_iter().collect()
    }

    #[test]
    fn a_volume_is_on_a_node_only_where_every_way_to_it_names_some() {
        let on = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let host = "kubernetes.io/hostname";
        let zone = "topology.kubernetes.io/zone";
        assert_eq!(of(&json!([on(host, "In", &["a"])])), ["a"]);
        assert_eq!(
            of(&json!([on(host, "In", &["a"]), on(host, "In", &["b"])])),
            ["a", "b"]
        );
        for elsewhere in [
            json!([]),
            json!([on(zone, "In", &["z"])]),
            json!([on(host, "NotIn", &["a"])]),
            json!([on(host, "In", &["a"]), on(zone, "In", &["z"])]),
        ] {
            assert_eq!(of(&elsewhere), Vec::<String>::new(), "{elsewhere}");
        }
    }
}
