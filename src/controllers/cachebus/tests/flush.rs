//! Keyspaces that are emptied on request, on an API server in memory.

use super::Next;
use super::changes::{at_rest, events};
use crate::testing::World;
use cachebus_core::protocol::FlushOutcome;
use serde_json::{Value, json};

const ASKED: &str = "cachebus.dev/flush";

fn ask(world: &World, for_what: &str) {
    world.api.change("cachebuses", "b", |bus| {
        bus["metadata"]["annotations"] = json!({ASKED: for_what, "team": "data"});
    });
}

fn annotations(world: &World) -> Value {
    world.api.get("cachebuses", "b").unwrap()["metadata"]["annotations"].clone()
}

fn flush(world: &World) -> Value {
    world.api.get("cachebuses", "b").unwrap()["status"]["flush"].clone()
}

#[tokio::test]
async fn a_flush_is_recorded_then_taken_off_then_ordered_and_told() {
    let (mut world, pods) = at_rest().await;
    ask(&world, "agent");
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::Soon);
    assert_eq!(flush(&world)["keyspaces"], json!(["agent"]));
    assert_eq!(
        annotations(&world)[ASKED],
        "agent",
        "the record comes first"
    );
    world.see();
    world.pass().await.unwrap();
    assert_eq!(annotations(&world), json!({"team": "data"}));
    assert!(pods.flushes().is_empty(), "it was there a moment ago");

    world.rest().await;
    let [(order, recorded)] = pods.flushes().try_into().unwrap();
    assert_eq!(order.keys, ["agent:{id}"]);
    assert_eq!(order.others, [""; 0]);
    assert_eq!(recorded["metadata"]["annotations"], json!({"team": "data"}));
    let told = flush(&world);
    assert_eq!((&told["number"], &told["removed"]), (&json!(1), &json!(7)));
    assert!(told["finishedAt"].is_string(), "{told}");
    let [(_, note)] = events(&world, &["Flushed"]).try_into().unwrap();
    assert_eq!(note, "flushed agent: 7 keys removed");

    ask(&world, "service:dashboard, agent");
    world.rest().await;
    let [(_, note)] = events(&world, &["FlushRefused"]).try_into().unwrap();
    assert!(note.contains("service dashboard writes no"), "{note}");
    assert_eq!(annotations(&world), json!({"team": "data"}));
    assert_eq!(flush(&world), told);
    assert_eq!(pods.flushes().len(), 1);
}

#[tokio::test]
async fn neither_an_operator_nor_an_agent_that_is_restarted_loses_a_flush() {
    let (mut world, pods) = at_rest().await;
    pods.flushes_end_as(FlushOutcome::Running);
    ask(&world, "agent");
    world.see();
    world.pass().await.unwrap();
    let mut other = World::on(world.api.clone());
    other.rest().await;
    assert_eq!(annotations(&other), json!({"team": "data"}));
    assert_eq!(pods.flushes().len(), 1);
    assert_eq!(flush(&other)["finishedAt"], Value::Null);
    pods.forget_flushes();
    other.rest().await;
    let orders: Vec<_> = pods.flushes().into_iter().map(|(order, _)| order).collect();
    assert_eq!(orders.len(), 2);
    assert_eq!(orders[0], orders[1]);

    // Another that is asked for waits for the end of this one.
    ask(&other, "agent");
    other.see();
    assert_eq!(other.pass().await.unwrap(), Next::Later);
    assert_eq!(annotations(&other)[ASKED], "agent");
    assert_eq!(pods.flushes().len(), 2);
    pods.flushes_end_as(FlushOutcome::Done { removed: 3 });
    other.rest().await;
    let numbers: Vec<_> = pods
        .flushes()
        .iter()
        .map(|(order, _)| order.number)
        .collect();
    assert_eq!(numbers, [1, 1, 2]);
    assert_eq!(flush(&other)["number"], 2);
    assert_eq!(events(&other, &["Flushed"]).len(), 2);
}

#[tokio::test]
async fn a_flush_that_ended_is_not_ordered_again_by_an_operator_that_is_behind() {
    let (mut world, pods) = at_rest().await;
    pods.flushes_end_as(FlushOutcome::Running);
    ask(&world, "agent");
    world.rest().await;
    assert_eq!(pods.flushes().len(), 1);
    // Another operator saw it end; the agent was restarted since.
    world.api.change("cachebuses", "b", |bus| {
        bus["status"]["flush"]["finishedAt"] = json!("2026-01-01T00:00:00Z");
    });
    pods.forget_flushes();
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    assert_eq!(pods.flushes().len(), 1);
}
