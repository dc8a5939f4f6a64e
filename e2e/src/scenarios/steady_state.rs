//! A bus at rest is left alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::json;

use super::Scenario;
use crate::audit::{Asked, Audit};
use crate::bus::{Bus, small};
use crate::lab::Lab;
use crate::nodes::Node;
use crate::process::Process;
use crate::stalls::Stalls;
use crate::{commands, wait};

/// API reads of the operator per bus and minute.
const READS: f64 = 3.0;

/// Resident memory of the leading operator, MiB.
const MEMORY_MIB: u64 = 25;

/// Time without a write after which a bus is at rest; more than a pass of the operator takes to come round.
const QUIET: Duration = Duration::from_secs(35);

/// Time for many buses to become ready on a small machine.
const READY: Duration = Duration::from_mins(10);

/// Measurements that may be spoilt by the machine.
const DISTURBED: usize = 2;

/// Servers end sessions that have said nothing for 300 s (`timeout`).
const ALIVE: Duration = Duration::from_mins(1);

pub const SCENARIO: Scenario = Scenario {
    name: "steady_state",
    proves: "at rest the operator writes nothing to the API server and changes nothing on servers and Sentinels, reads little and stays small",
    alone: true,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let (sizes, time, foreign): (&[usize], _, _) = if lab.long {
        (&[1, 20], Duration::from_mins(5), 10_000)
    } else {
        (&[2], Duration::from_secs(40), 200)
    };
    foreign_secrets(&lab, foreign).await?;
    let mut buses = Vec::new();
    for size in sizes {
        while buses.len() < *size {
            let name = format!("bus-{}", buses.len());
            buses.push(Bus::apply(&lab, &namespace, &name, small(spec())?).await?);
        }
        for bus in &buses {
            bus.await_ready(READY).await?;
        }
        undisturbed(&lab, &buses, time)
            .await
            .with_context(|| format!("{size} buses"))?;
    }
    Ok(())
}

/// Measures, again where it failed while the machine kept its processes waiting: a primary that no Sentinel answers in time may not
/// be at rest.
async fn undisturbed(lab: &Lab, buses: &[Bus], time: Duration) -> anyhow::Result<()> {
    for _ in 0..DISTURBED {
        let stalls = Stalls::watch()?;
        match measure(lab, buses, time).await {
            Err(error) if stalls.seen() > 0 => lab.note(format_args!(
                "measured again, for {} times the machine kept processes waiting: {error:#}",
                stalls.seen()
            )),
            measured => return measured,
        }
    }
    measure(lab, buses, time).await
}

/// Secrets of others, together larger than the operator may become: who caches them shows.
async fn foreign_secrets(lab: &Lab, number: usize) -> anyhow::Result<()> {
    let namespace = lab.another_namespace("foreign").await?;
    let api: Api<Secret> = Api::namespaced(lab.client.clone(), &namespace);
    let size = 2 * usize::try_from(MEMORY_MIB)? * (1 << 20) / number;
    let content = ByteString(vec![b'x'; size]);
    stream::iter(0..number)
        .map(|ordinal| {
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(format!("foreign-{ordinal}")),
                    ..ObjectMeta::default()
                },
                data: Some(BTreeMap::from([("content".to_owned(), content.clone())])),
                ..Secret::default()
            };
            let api = api.clone();
            async move { api.create(&PostParams::default(), &secret).await }
        })
        .buffer_unordered(16)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
        .context("Secrets of others")?;
    lab.note(format_args!("{number} Secrets of others are there"));
    Ok(())
}

fn spec() -> serde_json::Value {
    json!({
        "replicas": 1,
        "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
        "services": [{"name": "writer", "cache": {"write": ["agent"]}}],
    })
}

async fn measure(lab: &Lab, buses: &[Bus], time: Duration) -> anyhow::Result<()> {
    let user = lab.operator.user().await?;
    rest(lab, &user).await?;
    let before = changes(buses).await?;
    let sessions = sessions(buses).await?;
    let opened_before = connections(&sessions).await?;
    let audit = Audit::now(&lab.client).await?;
    let ends = Instant::now() + time;
    while Instant::now() < ends {
        let left = ends.duration_since(Instant::now());
        tokio::time::sleep(left.min(ALIVE)).await;
        connections(&sessions).await?;
    }
    let asked = audit.asked(&user).await?;
    let opened = commands::grown(&opened_before, &connections(&sessions).await?);
    let after = changes(buses).await?;

    let minutes = time.as_secs_f64() / 60.0;
    let each = f64::from(asked.reads()) / minutes / f64::from(u32::try_from(buses.len())?);
    let memory = Process::all("cachebus", Some("operator"))?
        .iter()
        .filter_map(Process::resident_kib)
        .max()
        .context("the operator's processes have ended")?
        .div_ceil(1024);
    lab.note(format_args!(
        "{} buses, {:.0} s: {} API writes, {each:.2} API reads per bus and minute, {memory} MiB resident, {} state-changing commands, {} new connections",
        buses.len(),
        time.as_secs_f64(),
        asked.writes.len(),
        commands::grown(&before, &after).len(),
        opened.values().sum::<u64>(),
    ));
    let Asked {
        leases,
        reads,
        writes,
    } = asked;
    ensure!(leases > 0, "the audit log does not tell of {user}");
    ensure!(writes.is_empty(), "API writes: {writes:?}");
    ensure!(
        each <= READS,
        "{each:.2} API reads per bus and minute: {reads:?}"
    );
    let grown = commands::grown(&before, &after);
    ensure!(grown.is_empty(), "state-changing commands: {grown:?}");
    ensure!(opened.is_empty(), "new connections: {opened:?}");
    ensure!(
        memory <= MEMORY_MIB,
        "{memory} MiB resident, more than {MEMORY_MIB}"
    );
    Ok(())
}

/// Waits until the operator has written nothing for a while.
async fn rest(lab: &Lab, user: &str) -> anyhow::Result<()> {
    lab.await_others_gone().await?;
    wait::until("the operator rests", Duration::from_mins(5), || async {
        let audit = Audit::now(&lab.client).await?;
        wait::throughout("no API writes", QUIET, || async {
            let writes = audit.asked(user).await?.writes;
            ensure!(writes.is_empty(), "{writes:?}");
            Ok(())
        })
        .await
    })
    .await
}

/// Connections opened so far, by server. Asked by sessions that are open, so that asking opens none.
async fn connections(sessions: &[(String, Node)]) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for (bus, node) in sessions {
        let stats = node.info("stats").await?;
        let opened = stats.get("total_connections_received");
        let opened = opened.context("no count of connections")?.parse()?;
        all.insert(format!("{bus}/{}", node.pod), opened);
    }
    Ok(all)
}

async fn sessions(buses: &[Bus]) -> anyhow::Result<Vec<(String, Node)>> {
    let mut all = Vec::new();
    for bus in buses {
        let nodes = [bus.data_nodes().await?, bus.sentinel_nodes().await?];
        let nodes = nodes.into_iter().flatten();
        all.extend(nodes.map(|node| (bus.names.bus().to_owned(), node)));
    }
    Ok(all)
}

/// Calls so far of every state-changing command, on every node.
async fn changes(buses: &[Bus]) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for bus in buses {
        for node in bus.data_nodes().await? {
            let calls = commands::state_changing(&node).await?;
            all.extend(calls.into_iter().map(|(command, calls)| {
                (format!("{}/{} {command}", bus.names.bus(), node.pod), calls)
            }));
        }
        for node in bus.sentinel_nodes().await? {
            let written = bus
                .pods()
                .exec(
                    &node.pod,
                    "sentinel",
                    &["stat", "-c", "%Y", "/data/sentinel.conf"],
                )
                .await?;
            let written = written
                .trim()
                .parse()
                .context("the time of sentinel.conf")?;
            all.insert(
                format!("{}/{} sentinel.conf", bus.names.bus(), node.pod),
                written,
            );
        }
    }
    Ok(all)
}
