//! Passes over a bus on an API server in memory.

#![allow(clippy::unwrap_used)]

mod backups;
mod changes;
mod conflicts;
mod flush;
mod last_valid;
mod rest;
mod secrets;
mod sentinels;
mod volumes;

use super::Next;
use crate::testing::{Pods, World, manifest};
use serde_json::{Value, json};

fn position(requests: &[String], what: &str) -> usize {
    requests
        .iter()
        .position(|request| request == what)
        .unwrap_or_else(|| panic!("no `{what}` in {requests:#?}"))
}

fn data(world: &World, secret: &str) -> Value {
    world.api.get("secrets", secret).unwrap()["data"].clone()
}

#[tokio::test]
async fn a_fresh_bus_gets_its_passwords_before_anything_that_needs_them() {
    let mut world = World::with_bus();
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::Soon);
    let mut writes = world.api.writes();
    writes.retain(|write| !write.contains("endpointslices") && write != "POST events");
    let first_of_others = writes
        .iter()
        .position(|write| write != "POST secrets")
        .unwrap();
    assert_eq!(first_of_others, 8, "all Secrets come first: {writes:#?}");
    assert!(
        position(&writes, "PATCH configmaps/b-config")
            < position(&writes, "PATCH statefulsets/b-redis")
    );
    assert_eq!(writes.last().unwrap(), "PUT cachebuses/b/status");
    let credentials = data(&world, "b-credentials");
    assert_eq!(
        credentials["operator"],
        data(&world, "b-redis-auth")["operator"]
    );
    assert_eq!(
        credentials["dashboard"],
        data(&world, "b-binding-dashboard")["password"]
    );
}

#[tokio::test]
async fn a_second_pass_over_an_unchanged_world_sends_nothing() {
    let mut world = World::with_bus();
    world.see();
    world.pass().await.unwrap();
    world.api.requests();
    world.see();
    world.pass().await.unwrap();
    assert_eq!(world.api.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn stores_that_lag_behind_cause_no_second_password_and_no_second_write() {
    let mut world = World::with_bus();
    world.see();
    world.pass().await.unwrap();
    let credentials = data(&world, "b-credentials");
    world.api.requests();
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    assert_eq!(
        world.api.requests(),
        ["POST secrets", "GET secrets/b-credentials"]
    );
    assert_eq!(data(&world, "b-credentials"), credentials);
}

#[tokio::test]
async fn what_somebody_deletes_or_changes_is_brought_back() {
    let mut world = World::with_bus();
    world.settle().await;
    let before = world.api.get("services", "b-primary").unwrap();
    world.api.remove("services", "b-primary");
    world.settle().await;
    assert_eq!(
        world.api.get("services", "b-primary").unwrap()["spec"],
        before["spec"]
    );
    world.api.change("statefulsets", "b-redis", |set| {
        set["spec"]["replicas"] = json!(7);
    });
    world.settle().await;
    assert_eq!(
        world.api.get("statefulsets", "b-redis").unwrap()["spec"]["replicas"],
        3
    );
}

#[tokio::test]
async fn a_status_that_changed_meanwhile_ends_the_pass() {
    let mut world = World::with_bus();
    world.see();
    world.api.change("cachebuses", "b", |bus| {
        bus["metadata"]["labels"] = json!({"a": "b"});
    });
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    assert_eq!(
        world.api.get("cachebuses", "b").unwrap()["status"],
        Value::Null
    );
}

#[tokio::test]
async fn a_watch_that_has_died_without_a_word_is_soon_not_waited_for() {
    let mut world = World::with_bus();
    world.see();
    world.api.change("cachebuses", "b", |bus| {
        bus["metadata"]["labels"] = json!({"a": "b"});
    });
    let status = |world: &World| world.api.get("cachebuses", "b").unwrap()["status"].clone();
    for _ in 0..3 {
        world.paced_pass().await.unwrap();
        world.see_but_buses();
        assert_eq!(status(&world), Value::Null);
    }
    world.paced_pass().await.unwrap();
    assert_ne!(status(&world), Value::Null);
    // Nor is it believed again while it shows what it has shown before.
    for _ in 0..3 {
        world.see_but_buses();
        world.api.requests();
        world.paced_pass().await.unwrap();
        let requests = world.api.requests();
        assert_eq!(requests.first().unwrap(), "GET cachebuses/b");
    }
    world.see();
    world.paced_pass().await.unwrap();
    let requests = world.api.requests();
    assert!(!requests.iter().any(|request| request == "GET cachebuses/b"));
}

#[tokio::test]
async fn a_bus_that_is_being_deleted_is_left_alone() {
    let mut world = World::with_bus();
    world.api.change("cachebuses", "b", |bus| {
        bus["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::OnChange);
    assert_eq!(world.api.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_spec_that_cannot_be_carried_out_is_said_and_builds_nothing() {
    let mut world = World::with_bus();
    world.api.change("cachebuses", "b", |bus| {
        bus["spec"]["config"] = json!({"bind": "0.0.0.0"});
    });
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::OnChange);
    assert_eq!(world.condition("Valid")["status"], "False");
    assert_eq!(world.api.all("secrets").len(), 0);
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_said_on_it_once() {
    let mut world = World::with_bus();
    let mut object = manifest("b");
    object["spec"]["replicas"] = json!("two");
    world.api.put(
        "/apis/cachebus.dev/v1alpha1/namespaces/data/cachebuses/b",
        object,
    );
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::OnChange);
    assert_eq!(
        world.api.writes(),
        ["PATCH cachebuses/b/status", "POST events"]
    );
    assert_eq!(world.condition("Valid")["reason"], "Undecodable");
    world.see();
    world.pass().await.unwrap();
    assert_eq!(world.api.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_that_cannot_be_read_keeps_what_else_is_said_of_it() {
    let mut world = World::with_bus();
    world.settle().await;
    let conditions = |world: &World| {
        let bus = world.api.get("cachebuses", "b").unwrap();
        let conditions = bus["status"]["conditions"].as_array().unwrap().clone();
        conditions
            .into_iter()
            .filter(|condition| !["Ready", "Valid"].contains(&condition["type"].as_str().unwrap()))
    };
    let before: Vec<Value> = conditions(&world).collect();
    assert!(before.len() > 5, "{before:?}");
    world.api.remove("configmaps", "b-last-valid");
    world.api.change("cachebuses", "b", |bus| {
        bus["spec"]["replicas"] = json!("two");
    });
    let mut successor = World::on(world.api.clone());
    successor.see();
    assert_eq!(successor.pass().await.unwrap(), Next::OnChange);
    assert_eq!(successor.condition("Valid")["reason"], "Undecodable");
    assert_eq!(successor.condition("Ready")["reason"], "Undecodable");
    assert_eq!(conditions(&successor).collect::<Vec<_>>(), before);
}

#[tokio::test]
async fn an_object_that_the_api_server_refuses_is_named_and_the_others_go_on() {
    let mut world = World::with_bus();
    world.api.refuse("poddisruptionbudgets");
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::Soon);
    assert_eq!(world.api.all("statefulsets").len(), 2);
    let condition = world.condition("RolloutComplete");
    assert_eq!(condition["reason"], "Rejected");
    assert!(
        condition["message"]
            .as_str()
            .unwrap()
            .contains("PodDisruptionBudget b-redis")
    );
}

#[tokio::test]
async fn an_api_server_that_fails_fails_the_pass_and_what_can_be_sent_is_sent() {
    let mut world = World::with_bus();
    world.api.fail("services");
    world.see();
    assert_eq!(world.pass().await.unwrap_err().reason(), "ApiError");
    assert_eq!(world.api.all("statefulsets").len(), 2);
    world.api.recover();
    world.settle().await;
    assert_eq!(world.api.all("services").len(), 5);
}

#[tokio::test]
async fn a_bus_comes_to_life_and_every_intent_is_on_record_before_it_is_carried_out() {
    let mut world = World::with_bus();
    world.settle().await;
    let pods = Pods::start(&world).await;
    world.rest().await;
    let ready = world.condition("Ready");
    assert_eq!(ready["status"], "True", "{ready}");
    let leads = pods.leads();
    assert_eq!(leads.len(), 1, "one pod is told to lead, once: {leads:?}");
    let (pod, recorded) = &leads[0];
    assert_eq!(recorded["target"]["pod"], **pod);
    let slice = world.api.get("endpointslices", "b-primary").unwrap();
    assert_eq!(slice["endpoints"][0]["targetRef"]["name"], **pod);
    let label = |name| {
        world.api.get("pods", name).unwrap()["metadata"]["labels"]["cachebus.dev/role"].clone()
    };
    assert_eq!(
        (label("b-redis-0"), label("b-redis-1")),
        (json!("primary"), json!("replica"))
    );

    world.see();
    world.api.requests();
    assert_eq!(world.pass().await.unwrap(), Next::Later);
    assert_eq!(
        world.api.requests(),
        Vec::<String>::new(),
        "at rest nothing is asked or written"
    );
}

#[tokio::test]
async fn an_intent_that_was_withdrawn_meanwhile_is_not_carried_out() {
    let mut world = World::with_bus();
    world.settle().await;
    let pods = Pods::start(&world).await;
    let target = |world: &World| {
        world.api.get("cachebuses", "b").unwrap()["status"]["topology"]["target"].clone()
    };
    while target(&world).is_null() {
        world.see();
        world.pass().await.unwrap();
    }
    world.see();
    world.api.change("cachebuses", "b", |bus| {
        bus["status"]["topology"] = json!({"primary": "b-redis-1", "epoch": 9});
    });
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    assert_eq!(pods.leads(), []);
}

#[tokio::test]
async fn each_change_of_the_primary_is_told_once_whatever_ends_the_pass() {
    let mut world = World::with_bus();
    world.settle().await;
    let pods = Pods::start(&world).await;
    world.rest().await;
    let told = |world: &World, reason: &str| {
        let mut events = world.api.all("events");
        events.retain(|event| event["reason"] == reason);
        events.len()
    };
    assert_eq!(told(&world, "PrimaryChosen"), 1);

    let before = world.api.get("cachebuses", "b").unwrap()["status"]["topology"].clone();
    let after = if before["primary"] == "b-redis-1" {
        "b-redis-2"
    } else {
        "b-redis-1"
    };
    pods.fail_over(after);
    world.see();
    world.api.meddle_after("PUT cachebuses/b/status");
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    let recorded = world.api.get("cachebuses", "b").unwrap()["status"]["topology"].clone();
    assert_eq!(recorded["primary"], after);
    assert_eq!(told(&world, "PrimaryChanged"), 1);
    world.rest().await;
    assert_eq!(told(&world, "PrimaryChanged"), 1);
}
