//! Network policies, enforced: who reaches a bus, and whom its pods reach.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use cachebus_core::names::{API_PORT, Component, HTTP_PORT};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret, Service};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::client_pod::ClientPod;
use crate::lab::Lab;

/// Time for a client to tell what it reached.
const LIMIT: Duration = Duration::from_mins(1);

const SERVICE: &str = "reader";

pub const SCENARIO: Scenario = Scenario {
    name: "policies",
    proves: "with network policies enforced a bus comes to life and comes back, selected namespaces reach servers and Sentinels, others only metrics, nobody but the operator the agents, and pods reach nothing outside",
    alone: true,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let enforced = Enforced::begin().await?;
    let result = enforced_on(&lab).await;
    enforced.end().await?;
    result
}

async fn enforced_on(lab: &Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let (friend, stranger) = (
        lab.another_namespace("friend").await?,
        lab.another_namespace("stranger").await?,
    );
    label(lab, &friend).await?;
    let spec = small(json!({
        "access": {"namespaces": {"matchLabels": {"e2e.cachebus.dev/friend": "yes"}}},
        "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
        "services": [{"name": SERVICE, "cache": {"read": ["agent"]}}],
    }))?;
    let bus = Bus::ready(lab, &namespace, "bus", spec).await?;
    let primary = agreement::check(&bus).await?;
    lab.note("Ready with policies enforced");

    let places = Places::of(lab, &bus, &primary).await?;
    for (from, client, metrics) in [
        (&namespace, true, true),
        (&friend, true, true),
        (&stranger, false, true),
    ] {
        copy_binding(lab, &bus, from).await?;
        let expected = BTreeMap::from([
            (places.server.clone(), client),
            (places.sentinel.clone(), client),
            (places.metrics.clone(), metrics),
            (places.agent.clone(), false),
        ]);
        let found = reached(lab, &bus, from, expected.keys()).await?;
        ensure!(
            found == expected,
            "from {from}: {found:?} instead of {expected:?}"
        );
        lab.note(format_args!("{from} reaches what it may"));
    }
    nothing_outside(&bus, &primary, &places.outside).await?;
    lab.note("a data pod reaches nothing outside its bus");

    let before = bus.pods().uids().await?;
    bus.pods().kill().await?;
    bus.pods().await_replaced(&before, READY).await?;
    bus.await_ready(READY).await?;
    agreement::check(&bus).await?;
    lab.note("back after all pods were killed");
    Ok(())
}

/// `host:port` of what clients try.
struct Places {
    server: String,
    sentinel: String,
    agent: String,
    metrics: String,
    /// What everybody reaches whom no policy hinders.
    outside: (String, u16),
}

impl Places {
    async fn of(lab: &Lab, bus: &Bus, primary: &str) -> anyhow::Result<Self> {
        let pods: Api<Pod> = Api::namespaced(lab.client.clone(), bus.names.namespace());
        let address = |pod: Pod| pod.status?.pod_ip;
        let data = address(pods.get(primary).await?).context("the primary has no address")?;
        let sentinel = bus.sentinel_places().remove(0);
        let watcher = address(pods.get(&sentinel.pod).await?).context("no address")?;
        let services: Api<Service> = Api::namespaced(lab.client.clone(), "default");
        let api_server = services.get("kubernetes").await?;
        let outside = api_server
            .spec
            .and_then(|spec| spec.cluster_ip)
            .context("the API server has no address")?;
        Ok(Self {
            server: format!("{data}:{}", bus.place(Component::Redis, 0).port),
            sentinel: format!("{watcher}:{}", sentinel.port),
            agent: format!("{data}:{API_PORT}"),
            metrics: format!("{data}:{HTTP_PORT}"),
            outside: (outside, 443),
        })
    }
}

/// What a client in a namespace reaches.
async fn reached(
    lab: &Lab,
    bus: &Bus,
    namespace: &str,
    places: impl Iterator<Item = &String>,
) -> anyhow::Result<BTreeMap<String, bool>> {
    let command: Vec<&str> = ["reach"]
        .into_iter()
        .chain(places.map(String::as_str))
        .collect();
    ClientPod::start(
        &lab.client,
        namespace,
        "reach",
        &bus.names.binding(SERVICE),
        &command,
        None,
    )
    .await?
    .answer(LIMIT)
    .await
}

/// A connection out of a data pod comes to nothing; the server's own client says so in time.
async fn nothing_outside(bus: &Bus, pod: &str, place: &(String, u16)) -> anyhow::Result<()> {
    let (host, port) = place;
    let script =
        format!("timeout 3 redis-cli -h {host} -p {port} ping >/dev/null 2>&1; echo ended $?");
    let printed = bus
        .pods()
        .exec(pod, "redis", &["sh", "-c", &script])
        .await?;
    // 124: `timeout` ended it. An answer of any kind would have ended it sooner.
    ensure!(
        printed.trim() == "ended 124",
        "{pod} has reached {host}:{port}: {printed}"
    );
    Ok(())
}

async fn label(lab: &Lab, namespace: &str) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(lab.client.clone());
    let patch = json!({"metadata": {"labels": {"e2e.cachebus.dev/friend": "yes"}}});
    namespaces
        .patch(namespace, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(())
}

/// Puts the service's binding where the service runs, as its owners do.
async fn copy_binding(lab: &Lab, bus: &Bus, namespace: &str) -> anyhow::Result<()> {
    if namespace == bus.names.namespace() {
        return Ok(());
    }
    let from: Api<Secret> = Api::namespaced(lab.client.clone(), bus.names.namespace());
    let binding = from.get(&bus.names.binding(SERVICE)).await?;
    let copy = Secret {
        metadata: ObjectMeta {
            name: Some(binding.name_any()),
            ..ObjectMeta::default()
        },
        ..binding
    };
    Api::<Secret>::namespaced(lab.client.clone(), namespace)
        .create(&PostParams::default(), &copy)
        .await?;
    Ok(())
}

/// Policies that are enforced; the lab's own network enforces none by itself.
struct Enforced(Child);

impl Enforced {
    /// Begins, and waits until the first rules are loaded.
    async fn begin() -> anyhow::Result<Self> {
        let mut child = task("follow")
            .stderr(Stdio::piped())
            .spawn()
            .context("the lab's task")?;
        let said = child.stderr.take().context("no output")?;
        let mut said = BufReader::new(said).lines();
        let enforced = async {
            while let Some(line) = said.next_line().await? {
                if line.contains("enforce") {
                    return Ok(());
                }
            }
            bail!("the lab's task has ended")
        };
        timeout(LIMIT, enforced)
            .await
            .context("policies are not enforced in time")??;
        // What it says of later changes is taken, so that it never waits.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Ok(Self(child))
    }

    async fn end(mut self) -> anyhow::Result<()> {
        self.0.kill().await?;
        let status = task("ignore").status().await?;
        ensure!(status.success(), "policies are still enforced: {status}");
        Ok(())
    }
}

fn task(mode: &str) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(["xtask", "lab", "policies", mode])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}
