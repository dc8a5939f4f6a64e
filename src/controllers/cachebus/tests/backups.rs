//! Backups of the bus `b`, and a bus that begins with one.

use super::*;
use cachebus_core::backup::{Report, Restoration, Taken};

fn set(world: &World, change: impl FnOnce(&mut Value)) {
    world
        .api
        .change("cachebuses", "b", |bus| change(&mut bus["spec"]));
}

fn ask(world: &World, name: &str) {
    world.api.put(
        &format!("/apis/cachebus.dev/v1alpha1/namespaces/data/cachebusbackups/{name}"),
        json!({
            "apiVersion": "cachebus.dev/v1alpha1",
            "kind": "CacheBusBackup",
            "metadata": {"name": name, "namespace": "data"},
            "spec": {"bus": "b"},
        }),
    );
}

fn status(world: &World, name: &str) -> Value {
    world.api.get("cachebusbackups", name).unwrap()["status"].clone()
}

/// The pod's containers have ended so, the last one having said this.
fn end(world: &World, pod: &str, phase: &str, said: Option<&Report>) {
    world.api.change("pods", pod, |pod| {
        let message = said.map(|report| serde_json::to_string(report).unwrap());
        pod["status"] = json!({"phase": phase, "containerStatuses": [{
            "name": "backup",
            "state": {"terminated": {"exitCode": 0, "message": message}},
        }]});
    });
}

/// What was written of backups and their pods: agents that are slow to answer cause other writes.
fn of_backups(world: &World) -> Vec<String> {
    let mut writes = world.api.writes();
    writes.retain(|write| write.contains("cachebusbackups") || write.contains("-backup"));
    writes
}

async fn with_backups() -> (World, Pods) {
    let mut world = World::with_bus();
    set(&world, |spec| {
        spec["backup"] = json!({"destination": {"volume": {"claimName": "backups"}}});
    });
    world.settle().await;
    let pods = Pods::start(&world).await;
    world.rest().await;
    (world, pods)
}

fn taken() -> Report {
    Report::Taken(Taken {
        source: "b-redis-2".to_owned(),
        engine_version: None,
        size_bytes: 5,
        keys: Some(3),
        sha256: "abc".to_owned(),
    })
}

/// A bus of which the backup `one` was begun.
async fn with_one_under_way() -> (World, Pods) {
    let (mut world, pods) = with_backups().await;
    ask(&world, "one");
    world.see();
    world.pass().await.unwrap();
    (world, pods)
}

#[tokio::test]
async fn a_backup_gets_a_pod_of_its_own_and_what_that_says_is_its_status() {
    let (mut world, _pods) = with_backups().await;
    world.api.writes();
    ask(&world, "one");
    world.see();
    world.pass().await.unwrap();
    let writes = world.api.writes();
    assert!(
        position(&writes, "POST pods") < position(&writes, "PUT cachebusbackups/one/status"),
        "what is said to run does: {writes:?}"
    );
    assert_eq!(status(&world, "one")["phase"], "Running");
    let pod = world.api.get("pods", "one-backup").unwrap();
    let owner = &pod["metadata"]["ownerReferences"][0];
    let backup = world.api.get("cachebusbackups", "one").unwrap();
    assert_eq!(owner["uid"], backup["metadata"]["uid"]);
    world.rest().await;
    assert_eq!(of_backups(&world), Vec::<String>::new(), "it is waited for");

    end(&world, "one-backup", "Succeeded", Some(&taken()));
    world.rest().await;
    assert_eq!(status(&world, "one")["phase"], "Succeeded");
    assert_eq!(status(&world, "one")["keys"], 3);
    assert!(world.api.get("pods", "one-backup").is_none());
    world.settle().await;
    assert_eq!(world.condition("BackedUp")["status"], "True");
    world.api.writes();
    world.rest().await;
    assert_eq!(of_backups(&world), Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_lags_makes_no_second_backup() {
    let (world, _pods) = with_one_under_way().await;
    let before = status(&world, "one");
    world.api.writes();
    // The same look once more: its writes meet what is there.
    world.pass().await.unwrap();
    assert_eq!(world.api.all("pods").len(), 7);
    assert_eq!(status(&world, "one"), before);
}

#[tokio::test]
async fn a_pod_stays_until_what_it_said_is_written() {
    let (mut world, _pods) = with_one_under_way().await;
    end(&world, "one-backup", "Succeeded", Some(&taken()));
    world.see();
    // Somebody labels the object after it was seen.
    world.api.change("cachebusbackups", "one", |backup| {
        backup["metadata"]["labels"] = json!({"team": "data"});
    });
    world.pass().await.unwrap();
    assert_eq!(status(&world, "one")["phase"], "Running");
    assert!(world.api.get("pods", "one-backup").is_some());
    world.see();
    world.pass().await.unwrap();
    assert_eq!(status(&world, "one")["phase"], "Succeeded");
    assert!(world.api.get("pods", "one-backup").is_none());
}

#[tokio::test]
async fn the_pod_of_an_earlier_backup_of_the_same_name_goes_first() {
    let (mut world, _pods) = with_one_under_way().await;
    end(&world, "one-backup", "Failed", None);
    world.rest().await;
    assert_eq!(status(&world, "one")["phase"], "Failed");
    // It is asked for anew; of its pod the garbage collector has heard nothing yet, or that takes its time to end.
    world.api.remove("cachebusbackups", "one");
    ask(&world, "one");
    world.api.change("pods", "one-backup", |pod| {
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    world.see();
    world.api.writes();
    world.pass().await.unwrap();
    assert_eq!(of_backups(&world), Vec::<String>::new());
    world.api.change("pods", "one-backup", |pod| {
        pod["metadata"]["deletionTimestamp"] = Value::Null;
    });
    world.see();
    world.pass().await.unwrap();
    assert_eq!(of_backups(&world), ["DELETE pods/one-backup"]);
    assert_eq!(status(&world, "one"), Value::Null);

    world.see();
    world.pass().await.unwrap();
    assert_eq!(status(&world, "one")["phase"], "Running");
    let pod = world.api.get("pods", "one-backup").unwrap();
    let backup = world.api.get("cachebusbackups", "one").unwrap();
    assert_eq!(
        pod["metadata"]["ownerReferences"][0]["uid"],
        backup["metadata"]["uid"]
    );
}

#[tokio::test]
async fn what_has_come_under_the_name_of_what_was_to_go_stays() {
    let (mut world, _pods) = with_one_under_way().await;
    end(&world, "one-backup", "Succeeded", Some(&taken()));
    world.see();
    let mut other = world.api.get("pods", "one-backup").unwrap();
    other["metadata"]["uid"] = json!("another");
    world.api.remove("pods", "one-backup");
    world
        .api
        .put("/api/v1/namespaces/data/pods/one-backup", other);
    world.pass().await.unwrap();
    assert_eq!(status(&world, "one")["phase"], "Succeeded");
    let kept = world.api.get("pods", "one-backup").unwrap();
    assert_eq!(kept["metadata"]["uid"], "another");

    // Of failed backups of the schedule three are kept.
    for name in ["s1", "s2", "s3", "s4"] {
        ask(&world, name);
        world.api.change("cachebusbackups", name, |backup| {
            backup["metadata"]["labels"] = json!({"cachebus.dev/scheduled": "true"});
            backup["status"] = json!({"phase": "Failed"});
        });
    }
    world.see();
    world.api.remove("cachebusbackups", "s1");
    ask(&world, "s1");
    world.api.writes();
    world.pass().await.unwrap();
    let writes = world.api.writes();
    let asked = writes
        .iter()
        .any(|write| write == "DELETE cachebusbackups/s1");
    assert!(asked, "{writes:?}");
    assert!(world.api.get("cachebusbackups", "s1").is_some());
}

#[tokio::test]
async fn a_backup_whose_pod_is_refused_has_failed_and_keeps_no_other_waiting() {
    let (mut world, _pods) = with_backups().await;
    world.api.refuse("pods");
    ask(&world, "one");
    world.see();
    world.pass().await.unwrap();
    let said = status(&world, "one");
    assert_eq!(
        (&said["phase"], &said["reason"]),
        (&json!("Failed"), &json!("Rejected"))
    );
    assert!(
        said["message"].as_str().unwrap().contains("one-backup"),
        "{said}"
    );
    world.api.recover();
    ask(&world, "two");
    world.see();
    world.pass().await.unwrap();
    assert_eq!(status(&world, "two")["phase"], "Running");
}

#[tokio::test]
async fn a_backup_whose_pod_cannot_be_made_is_not_said_to_run() {
    let (mut world, _pods) = with_backups().await;
    world.api.fail("pods");
    ask(&world, "one");
    world.see();
    world.pass().await.unwrap_err();
    assert_eq!(status(&world, "one"), Value::Null);
    world.api.recover();
    world.see();
    world.pass().await.unwrap();
    assert_eq!(status(&world, "one")["phase"], "Running");
}

#[tokio::test]
async fn the_schedule_asks_for_a_backup_once() {
    let (mut world, _pods) = with_backups().await;
    set(&world, |spec| {
        spec["backup"]["schedule"] = json!("* * * * *");
    });
    world.rest().await;
    assert_eq!(world.api.all("cachebusbackups").len(), 0);
    world.api.change("cachebuses", "b", |bus| {
        bus["status"]["backup"]["scheduledThrough"] = json!("2020-01-01T00:00:00Z");
    });
    world.see();
    world.pass().await.unwrap();
    // A minute may pass in between; no time is served twice.
    let made = world.api.all("cachebusbackups");
    assert_eq!(made.len(), 1);
    assert_eq!(
        made[0]["metadata"]["labels"]["cachebus.dev/scheduled"],
        "true"
    );
    world.pass().await.unwrap();
    assert!(world.api.all("cachebusbackups").len() <= 2);
}

#[tokio::test]
async fn a_bus_that_begins_with_a_backup_has_no_data_pod_before_it_is_restored() {
    let mut world = World::with_bus();
    set(&world, |spec| {
        spec["bootstrap"] = json!({"fromBackup": {
            "destination": {"volume": {"claimName": "backups"}},
            "path": "data/old/one",
        }});
    });
    world.settle().await;
    let set_of = |world: &World| world.api.get("statefulsets", "b-redis").unwrap();
    assert_eq!(set_of(&world)["spec"]["replicas"], 0);
    assert_eq!(world.condition("Available")["reason"], "Restoring");
    let claim = world
        .api
        .get("persistentvolumeclaims", "data-b-redis-0")
        .unwrap();
    let template = set_of(&world)["spec"]["volumeClaimTemplates"][0]["spec"].clone();
    assert_eq!(claim["spec"], template);

    let restored = Report::Restored(Restoration {
        keys: Some(3),
        taken_at_s: 5,
    });
    end(&world, "b-restore", "Succeeded", Some(&restored));
    world.settle().await;
    assert_eq!(set_of(&world)["spec"]["replicas"], 3);
    assert!(world.api.get("pods", "b-restore").is_none());
    let bus = world.api.get("cachebuses", "b").unwrap();
    assert_eq!(bus["status"]["restored"]["path"], "data/old/one");
}
