//! Volumes that grow, that are given up, and that are lost with their node, on an API server in memory.

use super::changes::{at_rest, deletions, events, replica, topology};
use crate::testing::{Pods, World};
use serde_json::{Value, json};

const CLAIMS: &str = "/api/v1/namespaces/data/persistentvolumeclaims";

/// A bus at rest, each pod with a volume of the class `c` on a node of its own, as the bus asks for it.
async fn stored() -> (World, Pods) {
    let (mut world, pods) = at_rest().await;
    give_volumes(&world);
    world.rest().await;
    world.api.requests();
    (world, pods)
}

fn give_volumes(world: &World) {
    for pod in world.api.all("pods") {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let size = if name.contains("redis") { "8Gi" } else { "1Gi" };
        let labels = &pod["metadata"]["labels"];
        let claim = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": format!("data-{name}"), "namespace": "data", "labels": {"cachebus.dev/bus": labels["cachebus.dev/bus"]}},
            "spec": {
                "storageClassName": "c",
                "volumeName": format!("volume-{name}"),
                "resources": {"requests": {"storage": size}},
            },
            "status": {"capacity": {"storage": size}},
        });
        world.api.put(&format!("{CLAIMS}/data-{name}"), claim);
        world.api.put(
            &format!("/api/v1/persistentvolumes/volume-{name}"),
            json!({
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": format!("volume-{name}")},
                "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/hostname", "operator": "In", "values": [format!("node-of-{name}")]},
                ]}]}}},
            }),
        );
        world.api.put(
            &format!("/api/v1/nodes/node-of-{name}"),
            json!({
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": format!("node-of-{name}"), "labels": {"kubernetes.io/hostname": format!("node-of-{name}")}},
            }),
        );
        world.api.change("pods", name, |pod| {
            pod["spec"]["nodeName"] = json!(format!("node-of-{name}"));
        });
    }
}

/// The pod whose restart is recorded.
fn restarting(world: &World) -> String {
    topology(world)["restart"]["pod"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn class(world: &World, expandable: bool) {
    world.api.put(
        "/apis/storage.k8s.io/v1/storageclasses/c",
        json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "c"},
            "provisioner": "p",
            "allowVolumeExpansion": expandable,
        }),
    );
}

fn ask(world: &World, size: &str) {
    world.api.change("cachebuses", "b", |bus| {
        bus["spec"]["storage"] = json!({"size": size});
    });
}

/// The StatefulSet's controller has seen the latest template.
fn seen(world: &World) {
    for set in world.api.all("statefulsets") {
        let name = set["metadata"]["name"].as_str().unwrap();
        world.api.change("statefulsets", name, |set| {
            let generation = &set["metadata"]["generation"];
            set["status"] = json!({"updateRevision": "new", "observedGeneration": generation});
        });
    }
}

fn claim(world: &World, pod: &str) -> Value {
    let name = format!("data-{pod}");
    world
        .api
        .get("persistentvolumeclaims", &name)
        .unwrap_or_default()
}

/// The pod cannot be scheduled.
fn unscheduled(world: &World, pod: &str) {
    world.api.change("pods", pod, |pod| {
        pod["spec"]["nodeName"] = Value::Null;
        let why = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "volume node affinity conflict"});
        pod["status"] = json!({"phase": "Pending", "conditions": [why]});
    });
}

#[tokio::test]
async fn volumes_grow_and_their_stateful_set_is_made_anew_without_its_pods() {
    let (mut world, _pods) = stored().await;
    class(&world, true);
    world.see();
    world.pass().await.unwrap();
    let nothing: [String; 0] = [];
    assert_eq!(
        world.api.requests(),
        nothing,
        "volumes as asked for are no business"
    );

    ask(&world, "9Gi");
    for _ in 0..3 {
        world.see();
        world.pass().await.unwrap();
        seen(&world);
    }
    let size = |object: &Value| object["spec"]["resources"]["requests"]["storage"].clone();
    for pod in ["b-redis-0", "b-redis-1", "b-redis-2"] {
        assert_eq!(size(&claim(&world, pod)), "9Gi");
    }
    assert_eq!(size(&claim(&world, "b-sentinel-0")), "1Gi");
    let set = world.api.get("statefulsets", "b-redis").unwrap();
    assert_eq!(size(&set["spec"]["volumeClaimTemplates"][0]), "9Gi");
    assert_eq!(deletions(&world), ["DELETE statefulsets/b-redis"]);
    assert_eq!(world.api.all("pods").len(), 6);
    assert_eq!(
        world.condition("RolloutComplete")["reason"],
        "VolumesGrowing"
    );

    // Until they have grown nothing more is written.
    for pod in ["b-redis-0", "b-redis-1", "b-redis-2"] {
        world.settle().await;
        world
            .api
            .change("persistentvolumeclaims", &format!("data-{pod}"), |claim| {
                claim["status"]["capacity"]["storage"] = json!("9Gi");
            });
    }
    world.rest().await;
    assert_eq!(world.condition("RolloutComplete")["status"], "True");
}

#[tokio::test]
async fn a_volume_that_cannot_grow_is_given_up_with_its_pod_and_one_alone() {
    let (mut world, _pods) = stored().await;
    class(&world, false);
    ask(&world, "9Gi");
    for _ in 0..6 {
        world.see();
        world.pass().await.unwrap();
        seen(&world);
    }
    let pod = restarting(&world);
    assert_ne!(topology(&world)["primary"], *pod);
    let gone = [
        "DELETE statefulsets/b-redis".to_owned(),
        format!("DELETE persistentvolumeclaims/data-{pod}"),
        format!("DELETE pods/{pod}"),
    ];
    assert_eq!(deletions(&world), gone);
    let [(_, note)] = events(&world, &["ReplacingVolume"]).try_into().unwrap();
    assert!(note.starts_with(&pod), "{note}");
}

#[tokio::test]
async fn no_claim_is_deleted_that_another_one_has_replaced_or_while_the_primary_changes() {
    let (mut world, pods) = stored().await;
    class(&world, false);
    ask(&world, "9Gi");
    while topology(&world)["restart"].is_null() {
        world.see();
        world.pass().await.unwrap();
        seen(&world);
    }
    let pod = restarting(&world);
    deletions(&world);
    world.see();
    world
        .api
        .change("persistentvolumeclaims", &format!("data-{pod}"), |claim| {
            claim["metadata"]["uid"] = json!("another");
        });
    assert_eq!(world.pass().await.unwrap(), super::Next::Again);
    assert_eq!(
        deletions(&world).len(),
        1,
        "what was asked for is another one"
    );
    assert_eq!(claim(&world, &pod)["metadata"]["uid"], "another");

    let primary = topology(&world)["primary"].clone();
    let mut others = ["b-redis-0", "b-redis-1", "b-redis-2"].into_iter();
    let other = others
        .find(|other| *other != pod && primary != *other)
        .unwrap();
    pods.failed_over(other);
    world.pass().await.unwrap();
    assert_eq!(deletions(&world), Vec::<String>::new());
}

#[tokio::test]
async fn a_volume_whose_node_is_gone_is_given_up() {
    let (mut world, _pods) = stored().await;
    let pod = replica(&world);
    unscheduled(&world, &pod);
    for _ in 0..3 {
        world.see();
        world.pass().await.unwrap();
    }
    assert_eq!(deletions(&world), Vec::<String>::new(), "its node is there");

    world.api.remove("nodes", &format!("node-of-{pod}"));
    for _ in 0..3 {
        world.see();
        world.pass().await.unwrap();
    }
    let gone = [
        format!("DELETE persistentvolumeclaims/data-{pod}"),
        format!("DELETE pods/{pod}"),
    ];
    assert_eq!(deletions(&world), gone);
    let [(_, note)] = events(&world, &["ReplacingVolume"]).try_into().unwrap();
    assert!(
        note.contains(&format!("node-of-{pod}, which is gone")),
        "{note}"
    );
}

#[tokio::test]
async fn what_may_not_be_read_is_said_and_nothing_is_given_up() {
    let (mut world, _pods) = stored().await;
    let pod = replica(&world);
    world.api.remove("nodes", &format!("node-of-{pod}"));
    world.api.forbid("persistentvolumes");
    world.api.forbid("storageclasses");
    unscheduled(&world, &pod);
    ask(&world, "9Gi");
    for _ in 0..4 {
        world.see();
        world.pass().await.unwrap();
        seen(&world);
    }
    assert_eq!(deletions(&world), ["DELETE statefulsets/b-redis"]);
    let condition = world.condition("RolloutComplete");
    let text = condition["message"].as_str().unwrap();
    assert_eq!(condition["reason"], "VolumeUnknown", "{text}");
    assert!(text.contains(&format!("{pod} (Forbidden)")), "{text}");
    assert!(text.contains("lets it grow"), "{text}");
}
