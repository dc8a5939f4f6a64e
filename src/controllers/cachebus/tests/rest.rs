//! Buses that are paused, or hibernated.

use super::*;

fn set(world: &World, field: &str, value: bool) {
    world.api.change("cachebuses", "b", |bus| {
        bus["spec"][field] = json!(value);
    });
}

async fn at_rest() -> (World, Pods) {
    let mut world = World::with_bus();
    world.settle().await;
    let pods = Pods::start(&world).await;
    world.rest().await;
    (world, pods)
}

fn pods_of(world: &World, set: &str) -> Value {
    world.api.get("statefulsets", set).unwrap()["spec"]["replicas"].clone()
}

#[tokio::test]
async fn of_a_paused_bus_nothing_is_written_but_what_follows_its_sentinels() {
    let (mut world, pods) = at_rest().await;
    set(&world, "paused", true);
    world.rest().await;
    assert_eq!(world.condition("Paused")["status"], "True");
    world.api.change("services", "b-primary", |service| {
        service["spec"]["ports"] = json!([]);
    });
    world.api.remove("secrets", "b-binding-dashboard");
    world.api.writes();
    let now = world.api.get("endpointslices", "b-primary").unwrap();
    let now = now["endpoints"][0]["targetRef"]["name"].clone();
    let next = if now == "b-redis-1" {
        "b-redis-2"
    } else {
        "b-redis-1"
    };
    pods.failed_over(next);
    world.rest().await;
    let mut writes = world.api.writes();
    writes.retain(|write| {
        !["endpointslices/", "cachebuses/b/status", "pods/", "events"]
            .iter()
            .any(|follows| write.contains(follows))
    });
    assert_eq!(writes, Vec::<String>::new());
    let slice = world.api.get("endpointslices", "b-primary").unwrap();
    assert_eq!(slice["endpoints"][0]["targetRef"]["name"], next);
    let status = world.api.get("cachebuses", "b").unwrap()["status"].clone();
    assert_eq!(status["topology"]["primary"], next);

    // What is wrong with the rest of its spec does not end a pause.
    for wrong in [json!({"bind": "0.0.0.0"}), json!("unreadable")] {
        world
            .api
            .change("cachebuses", "b", |bus| bus["spec"]["config"] = wrong);
        world.rest().await;
        assert!(world.api.get("secrets", "b-binding-dashboard").is_none());
    }
    world.api.change("cachebuses", "b", |bus| {
        bus["spec"]["config"] = json!({});
        bus["spec"]["paused"] = json!(false);
    });
    world.settle().await;
    assert!(world.api.get("secrets", "b-binding-dashboard").is_some());
}

#[tokio::test]
async fn a_bus_that_is_made_paused_is_not_made() {
    let mut world = World::with_bus();
    set(&world, "paused", true);
    world.see();
    world.pass().await.unwrap();
    let mut made = world.api.writes();
    // People are told how it is.
    made.retain(|write| write != "POST events");
    assert_eq!(made, ["PUT cachebuses/b/status"]);
}

#[tokio::test]
async fn a_bus_goes_to_sleep_in_order_and_wakes_whole() {
    let (mut world, _pods) = at_rest().await;
    let primary = world.api.get("cachebuses", "b").unwrap()["status"]["topology"].clone();
    let secrets = world.api.all("secrets");
    set(&world, "hibernated", true);
    world.see();
    world.pass().await.unwrap();
    assert_eq!(
        (pods_of(&world, "b-redis"), pods_of(&world, "b-sentinel")),
        (json!(3), json!(0))
    );
    for pod in ["b-sentinel-0", "b-sentinel-1", "b-sentinel-2"] {
        world.api.remove("pods", pod);
    }
    world.see();
    world.pass().await.unwrap();
    assert_eq!(pods_of(&world, "b-redis"), 0);
    for pod in ["b-redis-0", "b-redis-1", "b-redis-2"] {
        world.api.remove("pods", pod);
    }
    world.settle().await;
    assert_eq!(world.condition("Hibernated")["status"], "True");
    assert_eq!(world.condition("Ready")["reason"], "Hibernated");
    assert_eq!(world.pass().await.unwrap(), Next::Later);
    assert_eq!(
        world.api.writes(),
        Vec::<String>::new(),
        "asleep nothing is written"
    );
    assert_eq!(world.api.all("secrets"), secrets);

    set(&world, "hibernated", false);
    world.settle().await;
    assert_eq!(
        (pods_of(&world, "b-redis"), pods_of(&world, "b-sentinel")),
        (json!(3), json!(3))
    );
    let topology = world.api.get("cachebuses", "b").unwrap()["status"]["topology"].clone();
    assert_eq!(topology["primary"], primary["primary"]);
}
