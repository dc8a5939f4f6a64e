//! A primary that refuses writes while another may lead, and takes them again.

use crate::bus::{Bus, PASSWORD, UID, free_port};
use crate::data::lead;
use crate::engine;
use crate::pod::{Pod, data, until, until_is};
use crate::sentinel::{remember, sentinel};
use cachebus_core::credentials::REPLICATION;
use cachebus_core::names::Component;
use cachebus_core::protocol::{ConfigOrder, Fenced, Phase, TopologyOrder};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

const THIS: &str = "b-redis-0";
const OTHER: &str = "b-redis-1";
const WINDOW: Duration = Duration::from_secs(2);
/// Two looks, the questions between them, and a busy machine.
const SLACK: Duration = Duration::from_secs(4);
const DIRECTIVE: &str = "min-replicas-to-write";

async fn leading(bus: &Bus) -> Pod<'_> {
    let pod = Pod::start(bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    lead(&pod, 1).await;
    pod
}

/// The Sentinel, once it says whom it names.
async fn naming<'a>(bus: &'a Bus, primary: &str) -> Pod<'a> {
    remember(bus, primary);
    let pod = Pod::start(bus, Component::Sentinel);
    pod.status_with(|status| sentinel(status).monitored.is_some())
        .await;
    pod
}

async fn fenced(pod: &Pod<'_>, why: Option<Fenced>) {
    pod.status_with(|status| data(status).fenced == why).await;
}

async fn write(bus: &Bus) -> String {
    let said = bus.redis(&["SET", "k", "v"]).await;
    said.split(' ').next().unwrap_or_default().to_owned()
}

/// How many replicas the server asks for.
async fn required(bus: &Bus) -> String {
    let live = bus.redis(&["CONFIG", "GET", DIRECTIVE]).await;
    live.split_whitespace()
        .last()
        .unwrap_or_default()
        .to_owned()
}

/// Fails at the first write that is refused within twice the window.
async fn takes_all_writes(bus: &Bus, why: &str) {
    let refused = until(|| async {
        let said = write(bus).await;
        (said != "OK").then_some(said)
    });
    let refused = timeout(WINDOW * 2, refused).await;
    assert!(refused.is_err(), "{why}: {refused:?}");
}

fn process(info: &str) -> Pid {
    let id = info
        .lines()
        .find_map(|line| line.trim().strip_prefix("process_id:"))
        .unwrap();
    Pid::from_raw(id.parse().unwrap())
}

/// A replica of the data node that announces itself as a pod.
struct Replica(Child);

impl Replica {
    fn start(bus: &Bus, pod: &str) -> Self {
        let tls = |file: &str| bus.path("tls").join(file).display().to_string();
        let child = Command::new(engine::server())
            .args(["--port", "0", "--tls-port", &free_port().to_string()])
            .args([
                "--tls-cert-file",
                &tls("tls.crt"),
                "--tls-key-file",
                &tls("tls.key"),
            ])
            .args([
                "--tls-ca-cert-file",
                &tls("ca.crt"),
                "--tls-replication",
                "yes",
            ])
            .args(["--dir", &bus.path(pod).display().to_string(), "--save", ""])
            .args([
                "--replica-announce-ip",
                &bus.names.pod_fqdn(Component::Redis, pod),
            ])
            .args(["--masteruser", REPLICATION, "--masterauth", PASSWORD])
            .args(["--replicaof", "127.0.0.1", &bus.config.port.to_string()])
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.id().unwrap()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }
}

async fn linked(pod: &Pod<'_>) {
    pod.status_with(|status| {
        let replication = data(status).replication.as_ref();
        replication.is_some_and(|told| told.replicas.iter().any(|replica| replica.online))
    })
    .await;
}

#[tokio::test]
async fn a_primary_without_its_sentinels_refuses_writes_and_takes_them_when_they_are_back() {
    let mut bus = Bus::new();
    bus.fence(1, WINDOW);
    let pod = leading(&bus).await;
    let sentinel = naming(&bus, THIS).await;
    fenced(&pod, None).await;
    until_is("OK".to_owned(), || write(&bus)).await;
    takes_all_writes(&bus, "its Sentinel is there").await;

    let id = process(&bus.sentinel(&["INFO", "server"]).await);
    kill(id, Signal::SIGSTOP).unwrap();
    let cut_off = Instant::now();
    until_is("NOREPLICAS".to_owned(), || write(&bus)).await;
    let took = cut_off.elapsed();
    assert!(took < WINDOW + SLACK, "fenced after {took:?}");
    fenced(&pod, Some(Fenced::Isolated)).await;
    let (_, metrics) = pod.get("/metrics").await;
    assert!(
        metrics.contains("\ncachebus_agent_fenced 1.0\n"),
        "{metrics}"
    );
    assert_eq!(pod.get("/readyz").await.0, 200, "it can be read from");
    assert_eq!(bus.redis(&["GET", "k"]).await, "v");

    kill(id, Signal::SIGCONT).unwrap();
    fenced(&pod, None).await;
    until_is("OK".to_owned(), || write(&bus)).await;
    pod.status_with(|status| {
        let told = data(status).config.get(DIRECTIVE);
        told.is_some_and(|value| value == "0")
    })
    .await;
    pod.stop().await;
    sentinel.stop().await;
}

#[tokio::test]
async fn the_only_replica_vouches_for_its_primary_while_it_acknowledges() {
    let mut bus = Bus::new();
    bus.fence(1, WINDOW);
    let pod = leading(&bus).await;
    let replica = Replica::start(&bus, OTHER);
    linked(&pod).await;
    until_is("OK".to_owned(), || write(&bus)).await;
    takes_all_writes(&bus, "no Sentinel answers, a replica does").await;

    replica.signal(Signal::SIGSTOP);
    let cut_off = Instant::now();
    until_is("NOREPLICAS".to_owned(), || write(&bus)).await;
    let took = cut_off.elapsed();
    assert!(took < WINDOW + SLACK, "fenced after {took:?}");

    replica.signal(Signal::SIGCONT);
    fenced(&pod, None).await;
    until_is("OK".to_owned(), || write(&bus)).await;
    pod.stop().await;
}

#[tokio::test]
async fn whom_no_sentinel_answers_refuses_writes_in_the_moment_in_which_one_of_two_replicas_leaves()
{
    let mut bus = Bus::new();
    bus.fence(2, WINDOW);
    let pod = leading(&bus).await;
    let mut one = Replica::start(&bus, OTHER);
    let _another = Replica::start(&bus, "b-redis-2");
    until_is("2".to_owned(), || required(&bus)).await;
    until_is("OK".to_owned(), || write(&bus)).await;
    takes_all_writes(&bus, "both replicas acknowledge").await;
    let told = data(&pod.status().await).config.clone();
    assert!(!told.contains_key(DIRECTIVE), "it is no drift: {told:?}");

    // As one does that Sentinels promote: before anybody looks.
    one.0.kill().await.unwrap();
    let left = Instant::now();
    until_is("NOREPLICAS".to_owned(), || write(&bus)).await;
    let took = left.elapsed();
    assert!(took < WINDOW, "refused after {took:?}");
    fenced(&pod, Some(Fenced::Isolated)).await;

    let sentinel = naming(&bus, THIS).await;
    fenced(&pod, None).await;
    until_is("0".to_owned(), || required(&bus)).await;
    assert_eq!(write(&bus).await, "OK");
    pod.stop().await;
    sentinel.stop().await;
}

#[tokio::test]
async fn one_of_two_replicas_does_not_end_a_fence() {
    let mut bus = Bus::new();
    bus.fence(2, WINDOW);
    let pod = leading(&bus).await;
    fenced(&pod, Some(Fenced::Isolated)).await;
    let _one = Replica::start(&bus, OTHER);
    linked(&pod).await;
    assert_eq!(write(&bus).await, "NOREPLICAS", "the other may lead by now");
    let _another = Replica::start(&bus, "b-redis-2");
    fenced(&pod, None).await;
    pod.stop().await;
}

#[tokio::test]
async fn who_is_outvoted_takes_no_write_before_it_follows_and_is_set_as_before_then() {
    let mut bus = Bus::new();
    bus.fence(1, WINDOW);
    let pod = leading(&bus).await;
    let sentinel = naming(&bus, OTHER).await;
    fenced(&pod, Some(Fenced::Outvoted(OTHER.to_owned()))).await;
    assert_eq!(write(&bus).await, "NOREPLICAS");

    // What the operator sent before it knew.
    let settings = [("maxclients", "1234"), (DIRECTIVE, "0")];
    let order = ConfigOrder {
        settings: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    let (code, body) = pod.put("/v1/config", &order).await;
    assert_eq!(code, 200, "{body}");
    assert!(!body.contains(DIRECTIVE), "{body}");
    let live = bus.redis(&["CONFIG", "GET", "maxclients"]).await;
    assert!(live.ends_with("1234"), "{live}");
    let live = bus.redis(&["CONFIG", "GET", DIRECTIVE]).await;
    assert!(live.ends_with("99"), "{live}");
    // And what a person types.
    bus.redis(&["CONFIG", "SET", DIRECTIVE, "0"]).await;
    until_is("NOREPLICAS".to_owned(), || write(&bus)).await;

    let order = TopologyOrder {
        uid: UID.to_owned(),
        primary: OTHER.to_owned(),
        epoch: 2,
        allow_empty: false,
        instead_of: None,
    };
    let (code, body) = pod.put("/v1/topology", &order).await;
    assert_eq!(code, 200, "{body}");
    fenced(&pod, None).await;
    until(|| async {
        let live = bus.redis(&["CONFIG", "GET", DIRECTIVE]).await;
        live.ends_with('0').then_some(())
    })
    .await;
    assert_eq!(write(&bus).await, "READONLY");
    pod.stop().await;
    sentinel.stop().await;
}
