//! Objects of somebody else that have the names of a bus's own, and objects that the API server refuses.

use crate::testing::World;
use serde_json::{Value, json};

const BOTH: &[&str] = &["b-redis", "b-sentinel"];

/// Each object of a bus but its Secrets: API, kind and resource, its name, and the StatefulSets that there are all the same when
/// somebody else has the name.
const OBJECTS: &[(&str, &str, &str, &str, &[&str])] = &[
    ("v1", "ConfigMap", "configmaps", "b-config", &[]),
    ("v1", "ConfigMap", "configmaps", "b-last-valid", BOTH),
    (
        "v1",
        "ServiceAccount",
        "serviceaccounts",
        "b-redis",
        &["b-sentinel"],
    ),
    (
        "v1",
        "ServiceAccount",
        "serviceaccounts",
        "b-sentinel",
        &["b-redis"],
    ),
    (
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "networkpolicies",
        "b-redis",
        &["b-sentinel"],
    ),
    (
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "networkpolicies",
        "b-sentinel",
        &["b-redis"],
    ),
    ("v1", "Service", "services", "b-primary", BOTH),
    ("v1", "Service", "services", "b-redis-nodes", BOTH),
    (
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "endpointslices",
        "b-primary",
        BOTH,
    ),
    (
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        "b-redis",
        BOTH,
    ),
    (
        "apps/v1",
        "StatefulSet",
        "statefulsets",
        "b-redis",
        &["b-sentinel"],
    ),
];

/// Those that the operator made itself.
fn stateful_sets(world: &World) -> Vec<Value> {
    let mut sets = world.api.all("statefulsets");
    sets.retain(|set| !set["metadata"]["labels"].is_null());
    sets.into_iter()
        .map(|set| set["metadata"]["name"].clone())
        .collect()
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_never_written_and_no_pod_is_made_that_rests_on_it() {
    for (api, kind, resource, name, sets) in OBJECTS {
        let mut world = World::with_bus();
        let foreign = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "data"}});
        let group = if api.contains('/') { "apis" } else { "api" };
        let path = format!("/{group}/{api}/namespaces/data/{resource}/{name}");
        world.api.put(&path, foreign);
        let before = world.api.get(resource, name);
        world.settle().await;
        assert_eq!(world.api.get(resource, name), before, "{kind} {name}");
        let told = world.condition("RolloutComplete");
        assert_eq!(told["reason"], "NameConflict", "{kind} {name}");
        let message = told["message"].as_str().unwrap();
        assert!(message.contains(&format!("{kind} {name}")), "{message}");
        assert_eq!(world.api.all("secrets").len(), 8, "{kind} {name}");
        assert_eq!(stateful_sets(&world), *sets, "{kind} {name}");
    }
}

#[tokio::test]
async fn no_pod_is_made_whose_surroundings_the_api_server_refuses() {
    for (resource, kind) in [
        ("configmaps", "ConfigMap"),
        ("serviceaccounts", "ServiceAccount"),
        ("networkpolicies", "NetworkPolicy"),
    ] {
        let mut world = World::with_bus();
        world.api.refuse(resource);
        for _ in 0..3 {
            world.see();
            world.pass().await.unwrap();
        }
        assert_eq!(stateful_sets(&world), [""; 0], "{resource}");
        let told = world.condition("RolloutComplete");
        assert_eq!(told["reason"], "Rejected", "{resource}");
        assert!(told["message"].as_str().unwrap().contains(kind), "{told}");
        world.api.recover();
        world.settle().await;
        assert_eq!(stateful_sets(&world), BOTH, "{resource}");
    }
}
