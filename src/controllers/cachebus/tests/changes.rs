//! Switchovers and restarts on an API server in memory.

use super::Next;
use crate::testing::{Api, Pods, World};
use serde_json::{Value, json};

const ASKED: &str = "cachebus.dev/switchover";

/// A bus at rest, its pods made from the wanted templates. `net` tells its addresses from those of another test.
pub(super) async fn at_rest() -> (World, Pods) {
    let mut world = World::with_bus();
    world.settle().await;
    let pods = Pods::start(&world).await;
    for set in ["b-redis", "b-sentinel"] {
        world.api.change("statefulsets", set, |set| {
            let generation = &set["metadata"]["generation"];
            set["status"] = json!({"updateRevision": "new", "observedGeneration": generation});
        });
    }
    for pod in world.api.all("pods") {
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        made_from(&world.api, &name, "new");
    }
    world.rest().await;
    world.api.requests();
    (world, pods)
}

fn made_from(api: &Api, pod: &str, revision: &str) {
    api.change("pods", pod, |pod| {
        pod["metadata"]["labels"]["controller-revision-hash"] = json!(revision);
    });
}

fn ask(world: &World, for_whom: &str) {
    world.api.change("cachebuses", "b", |bus| {
        bus["metadata"]["annotations"] = json!({ASKED: for_whom, "team": "data"});
    });
}

pub(super) fn topology(world: &World) -> Value {
    world.api.get("cachebuses", "b").unwrap()["status"]["topology"].clone()
}

fn annotations(world: &World) -> Value {
    world.api.get("cachebuses", "b").unwrap()["metadata"]["annotations"].clone()
}

/// Reason and note of each Event of one of these reasons.
pub(super) fn events(world: &World, reasons: &[&str]) -> Vec<(String, String)> {
    let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
    let events = world.api.all("events").into_iter();
    let events = events.map(|event| (text(&event, "reason"), text(&event, "note")));
    events
        .filter(|(reason, _)| reasons.contains(&reason.as_str()))
        .collect()
}

#[tokio::test]
async fn a_switchover_is_recorded_taken_off_ordered_and_told() {
    let (mut world, pods) = at_rest().await;
    let before = topology(&world)["primary"].clone();
    let to = if before == "b-redis-1" {
        "b-redis-2"
    } else {
        "b-redis-1"
    };
    ask(&world, to);
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::Soon);
    assert_eq!(topology(&world)["handover"]["to"], to);
    assert_eq!(annotations(&world), json!({"team": "data"}));
    assert!(pods.handovers().is_empty(), "the record comes first");

    world.rest().await;
    let [(order, recorded)] = pods.handovers().try_into().unwrap();
    assert_eq!(order.to.as_deref(), Some(to));
    assert_eq!(recorded["handover"]["reason"], "Switchover");
    assert_eq!(topology(&world)["primary"], to);
    assert_eq!(topology(&world)["handover"], Value::Null);
    let status = world.api.get("cachebuses", "b").unwrap()["status"].clone();
    let last = &status["lastFailover"];
    assert_eq!((&last["from"], &last["to"]), (&before, &json!(to)));
    assert_eq!(
        (&last["reason"], &last["writeGapMs"]),
        (&json!("Switchover"), &json!(50))
    );
    let told = events(
        &world,
        &["SwitchedOver", "PrimaryChanged", "SwitchoverFailed"],
    );
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].1.contains("no write was taken for 50 ms"),
        "{told:?}"
    );
    let slice = world.api.get("endpointslices", "b-primary").unwrap();
    assert_eq!(slice["endpoints"][0]["targetRef"]["name"], to);
}

#[tokio::test]
async fn a_request_that_cannot_be_met_is_taken_off_and_told() {
    let (mut world, pods) = at_rest().await;
    let before = topology(&world);
    ask(&world, "b-redis-7");
    world.see();
    world.pass().await.unwrap();
    assert_eq!(annotations(&world), json!({"team": "data"}));
    assert_eq!(topology(&world), before);
    assert!(pods.handovers().is_empty());
    let [(_, note)] = events(&world, &["SwitchoverRefused"]).try_into().unwrap();
    assert!(
        note.ends_with("b-redis-7 is none of the 3 data pods of the spec"),
        "{note}"
    );

    // The next one is told in its own words.
    ask(&world, "b-redis-8");
    world.see();
    world.pass().await.unwrap();
    let [_, (_, note)] = events(&world, &["SwitchoverRefused"]).try_into().unwrap();
    assert!(note.contains("b-redis-8"), "{note}");
}

#[tokio::test]
async fn a_request_that_changed_meanwhile_is_read_anew() {
    let (mut world, _pods) = at_rest().await;
    ask(&world, "b-redis-7");
    world.see();
    ask(&world, "any");
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    assert_eq!(annotations(&world)[ASKED], "any");
    assert!(events(&world, &["SwitchoverRefused"]).is_empty());
}

#[tokio::test]
async fn what_the_agent_refuses_is_told_and_the_primary_stays() {
    let (mut world, pods) = at_rest().await;
    let before = topology(&world)["primary"].clone();
    pods.refuse_handovers("NoCandidate");
    ask(&world, "any");
    world.rest().await;
    assert_eq!(topology(&world)["primary"], before);
    assert_eq!(
        topology(&world)["handover"]["failed"],
        "NoCandidate: as the test has it"
    );
    assert_eq!(pods.handovers().len(), 1);
    let [(_, note)] = events(&world, &["SwitchoverFailed"]).try_into().unwrap();
    assert!(note.ends_with("NoCandidate: as the test has it"), "{note}");
}

#[tokio::test]
async fn another_operator_carries_a_switchover_on_from_the_status_alone() {
    let (mut world, pods) = at_rest().await;
    ask(&world, "any");
    world.see();
    world.pass().await.unwrap();
    let mut other = World::on(world.api.clone());
    other.rest().await;
    assert_eq!(pods.handovers().len(), 1);
    assert_eq!(topology(&other)["handover"], Value::Null);
    let last = other.api.get("cachebuses", "b").unwrap()["status"]["lastFailover"].clone();
    assert_eq!(last["reason"], "Switchover");
}

#[tokio::test]
async fn a_handover_that_was_withdrawn_meanwhile_is_not_ordered() {
    let (mut world, pods) = at_rest().await;
    ask(&world, "any");
    world.see();
    world.pass().await.unwrap();
    world.see();
    world.api.change("cachebuses", "b", |bus| {
        bus["status"]["topology"]["handover"] = Value::Null;
    });
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    assert!(pods.handovers().is_empty());
}

/// A data pod that follows.
pub(super) fn replica(world: &World) -> String {
    let primary = topology(world)["primary"].clone();
    let pods = ["b-redis-1", "b-redis-2"];
    pods.into_iter()
        .find(|pod| primary != *pod)
        .unwrap()
        .to_owned()
}

pub(super) fn deletions(world: &World) -> Vec<String> {
    let mut writes = world.api.writes();
    writes.retain(|write| write.starts_with("DELETE"));
    writes
}

#[tokio::test]
async fn a_pod_of_an_older_template_is_recorded_and_then_deleted_once() {
    let (mut world, _pods) = at_rest().await;
    let pod = replica(&world);
    made_from(&world.api, &pod, "old");
    world.see();
    world.pass().await.unwrap();
    assert_eq!(topology(&world)["restart"]["pod"], *pod);
    assert_eq!(deletions(&world), Vec::<String>::new());
    let old = world.api.get("pods", &pod).unwrap();
    for _ in 0..3 {
        world.see();
        world.pass().await.unwrap();
    }
    assert_eq!(deletions(&world), [format!("DELETE pods/{pod}")]);
    assert_eq!(world.condition("RolloutComplete")["reason"], "RollingOut");

    let mut new = old;
    new["metadata"]["uid"] = Value::Null;
    new["metadata"]["labels"]["controller-revision-hash"] = json!("new");
    world
        .api
        .put(&format!("/api/v1/namespaces/data/pods/{pod}"), new);
    world.rest().await;
    assert_eq!(topology(&world)["restart"], Value::Null);
    assert_eq!(world.condition("RolloutComplete")["status"], "True");
    assert_eq!(deletions(&world), Vec::<String>::new());
    assert_eq!(events(&world, &["Restarting"]).len(), 1);
}

#[tokio::test]
async fn a_pod_that_was_replaced_meanwhile_is_not_deleted() {
    let (mut world, _pods) = at_rest().await;
    let pod = replica(&world);
    made_from(&world.api, &pod, "old");
    world.see();
    world.pass().await.unwrap();
    world.see();
    world.api.change("pods", &pod, |pod| {
        pod["metadata"]["uid"] = json!("another");
    });
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    assert_eq!(
        world.api.get("pods", &pod).unwrap()["metadata"]["uid"],
        "another"
    );
}

#[tokio::test]
async fn a_pod_that_leads_by_now_is_not_deleted() {
    let (mut world, pods) = at_rest().await;
    let pod = replica(&world);
    made_from(&world.api, &pod, "old");
    world.see();
    world.pass().await.unwrap();
    pods.failed_over(&pod);
    world.see();
    world.pass().await.unwrap();
    assert_eq!(topology(&world)["primary"], *pod);
    for _ in 0..9 {
        if topology(&world)["primary"] == *pod {
            world.see();
            world.pass().await.unwrap();
        }
    }
    assert_eq!(deletions(&world), Vec::<String>::new());
    assert_ne!(topology(&world)["primary"], *pod, "it hands over first");
}

#[tokio::test]
async fn a_rollout_hands_the_lead_over_before_the_old_primary_goes() {
    let (mut world, pods) = at_rest().await;
    let old = topology(&world)["primary"].as_str().unwrap().to_owned();
    made_from(&world.api, &old, "old");
    for _ in 0..6 {
        world.see();
        world.pass().await.unwrap();
    }
    let [(_, recorded)] = pods.handovers().try_into().unwrap();
    assert_eq!(recorded["handover"]["reason"], "Rollout");
    assert_ne!(topology(&world)["primary"], *old);
    assert_eq!(topology(&world)["restart"]["pod"], *old);
    assert_eq!(deletions(&world), [format!("DELETE pods/{old}")]);
}
