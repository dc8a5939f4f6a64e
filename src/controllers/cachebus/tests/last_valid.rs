//! What becomes of a bus whose spec cannot be carried out, in a process that has seen no other.

use crate::controllers::cachebus::Next;
use crate::testing::{Pods, World, platform};
use cachebus_core::bus::Platform;
use serde_json::{Value, json};

/// What an operator that has just started makes of a bus that came to life, whose spec is then changed, and whose Sentinels
/// switch.
async fn followed(platform: Platform, change: impl FnOnce(&mut Value)) -> World {
    let mut world = World::with_bus();
    world.settle().await;
    let pods = Pods::start(&world).await;
    world.rest().await;
    let routed = |world: &World| {
        world.api.get("endpointslices", "b-primary").unwrap()["endpoints"][0]["targetRef"]["name"]
            .clone()
    };
    let before = routed(&world);
    let others = |world: &World| -> Vec<Value> {
        let kinds = ["statefulsets", "configmaps", "secrets"].into_iter();
        kinds.flat_map(|kind| world.api.all(kind)).collect()
    };
    let as_they_were = others(&world);
    world.api.change("cachebuses", "b", change);

    let after = if before == "b-redis-1" {
        "b-redis-2"
    } else {
        "b-redis-1"
    };
    pods.failed_over(after);
    let mut successor = World::told(world.api.clone(), platform);
    successor.rest().await;
    assert_eq!(routed(&successor), after);
    for (now, before) in others(&successor).iter().zip(&as_they_were) {
        assert_eq!(now, before, "pods, settings and users stay as they were");
    }

    successor.see();
    successor.api.requests();
    assert_eq!(successor.pass().await.unwrap(), Next::Later);
    assert_eq!(successor.api.writes(), Vec::<String>::new());
    assert_eq!(successor.condition("Available")["status"], "True");
    assert_eq!(successor.condition("Ready")["status"], "False");
    successor
}

#[tokio::test]
async fn a_failover_is_followed_while_the_spec_is_invalid_from_before_the_operator_started() {
    let world = followed(platform(), |bus| {
        bus["spec"]["config"] = json!({"bind": "0.0.0.0"});
        bus["spec"]["replicas"] = json!(1);
    })
    .await;
    assert_eq!(world.condition("Valid")["reason"], "DirectiveRefused");
}

#[tokio::test]
async fn a_failover_is_followed_while_the_object_cannot_be_read() {
    let world = followed(platform(), |bus| {
        bus["spec"]["replicas"] = json!("two");
    })
    .await;
    let valid = world.condition("Valid");
    assert_eq!(valid["reason"], "Undecodable");
    let message = valid["message"].as_str().unwrap();
    assert!(
        message.starts_with("spec: cannot be read: ") && message.contains("two"),
        "{message}"
    );
}

#[tokio::test]
async fn a_failover_is_followed_by_an_operator_that_has_no_image_for_the_engine_any_more() {
    let upgraded = Platform {
        engine_images: [].into(),
        ..platform()
    };
    let world = followed(upgraded, |_| {}).await;
    assert_eq!(world.condition("Valid")["reason"], "ImageUnknown");
}

#[tokio::test]
async fn a_bus_is_not_looked_after_by_the_spec_of_an_earlier_one_of_its_name() {
    let mut world = World::with_bus();
    world.settle().await;
    world.api.change("cachebuses", "b", |bus| {
        bus["metadata"]["uid"] = json!("another");
        bus["spec"]["config"] = json!({"bind": "0.0.0.0"});
        bus["status"] = Value::Null;
    });
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::OnChange);
    assert_eq!(world.api.writes()[0], "PUT cachebuses/b/status");
    assert_eq!(world.condition("Ready")["reason"], "Invalid");
}
