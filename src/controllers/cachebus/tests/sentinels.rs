//! Sentinels that join, on an API server in memory.

use crate::testing::{Pods, World};
use serde_json::{Value, json};

/// Sentinels of which the agents are told to count the majority.
fn mounted(world: &World) -> usize {
    let config = world.api.get("configmaps", "b-config").unwrap();
    let text = config["data"]["agent.json"].as_str().unwrap();
    let agent: Value = serde_json::from_str(text).unwrap();
    agent["sentinels"].as_array().unwrap().len()
}

fn pods(world: &World) -> Value {
    world.api.get("statefulsets", "b-sentinel").unwrap()["spec"]["replicas"].clone()
}

fn recorded(world: &World) -> Value {
    world.api.get("cachebuses", "b").unwrap()["status"]["topology"]["sentinels"].clone()
}

#[tokio::test]
async fn a_sentinel_gets_its_pod_before_anybody_counts_it_and_the_others_wait_their_turn() {
    let mut world = World::with_bus();
    world.settle().await;
    let _pods = Pods::start(&world).await;
    world.rest().await;
    assert_eq!(recorded(&world), json!({"members": 3, "pods": 3}));

    world.api.change("cachebuses", "b", |bus| {
        bus["spec"]["sentinel"] = json!({"replicas": 5});
        bus["metadata"]["generation"] = json!(2);
    });
    for _ in 0..6 {
        world.see();
        world.pass().await.unwrap();
    }
    assert_eq!(recorded(&world), json!({"members": 3, "pods": 4}));
    assert_eq!((pods(&world), mounted(&world)), (json!(4), 3));
    let told = world.condition("RolloutComplete");
    assert_eq!(told["reason"], "ScalingSentinels");
    let message = told["message"].as_str().unwrap();
    assert!(
        message.starts_with("3 Sentinels count, 5 are asked for"),
        "{message}"
    );
}
