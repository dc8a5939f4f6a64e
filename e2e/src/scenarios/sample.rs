//! The sample of the whole contract comes to life, and how soon.

mod expected;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use cachebus_api::{CacheBus, CacheBusSpec};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde::Deserialize;

use super::Scenario;
use crate::agreement;
use crate::bus::Bus;
use crate::client_pod::ClientPod;
use crate::lab::Lab;
use crate::wait;
use expected::Directives;

const SAMPLE: &str = include_str!("../../../config/samples/platform.yaml");

/// The service whose first write is timed.
const WRITER: &str = "agent_designer";

/// Time from apply to `Ready` with the image loaded; what peers need here is 29 s and more.
const AIM: Duration = Duration::from_secs(12);

pub const SCENARIO: Scenario = Scenario {
    name: "sample",
    proves: "the sample bus becomes Ready as its spec says, all servers and Sentinels agree, and how soon; `CONFIG GET` prints there, and on a bus with hardly a default, what was written by hand",
    alone: false,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FirstWrite {
    accepted_at_ms: u64,
    refused_before: u64,
}

async fn run(lab: Lab) -> anyhow::Result<()> {
    let sample = sample()?;
    let name = sample
        .metadata
        .name
        .as_deref()
        .context("the sample has no name")?;
    let namespace = sample
        .metadata
        .namespace
        .as_deref()
        .context("the sample has no namespace")?;
    ensure!(
        sample.spec.cache.keyspaces.len() == 9,
        "the sample's contract has 9 keyspaces"
    );
    ensure!(
        sample.spec.events.channels.len() == 5,
        "the sample's contract has 5 channel groups"
    );
    ensure!(
        sample.spec.services.len() >= 4,
        "the sample's contract has 4 services or more"
    );
    let namespace = lab.fresh_namespace(namespace).await?;
    come_to_life(&lab, &namespace, name, sample.spec).await?;
    let other = serde_saphyr::from_str(expected::OTHER_SPEC).context("the scenario's own spec")?;
    let other = Bus::ready(&lab, &namespace, "other", other).await?;
    prints(&other, expected::OTHER).await
}

/// Fails unless every data node prints these directives so, and those of every bus.
async fn prints(bus: &Bus, directives: Directives) -> anyhow::Result<()> {
    for node in bus.data_nodes().await? {
        let live = node.config().await?;
        for (directive, value) in directives.iter().chain(expected::ALWAYS) {
            let found = live.get(*directive).map(String::as_str);
            ensure!(
                found == Some(value),
                "{}: {directive} is {found:?}, not {value}",
                node.pod
            );
        }
    }
    Ok(())
}

/// Applies a bus of the sample's contract, prints how soon it takes a write and is ready, and fails unless it is as its spec
/// says.
pub async fn come_to_life(
    lab: &Lab,
    namespace: &str,
    name: &str,
    spec: CacheBusSpec,
) -> anyhow::Result<Bus> {
    let began = Instant::now();
    let began_at = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let bus = Bus::apply(lab, namespace, name, spec).await?;
    let binding = bus.names.binding(WRITER);
    let secrets: Api<Secret> = Api::namespaced(lab.client.clone(), namespace);
    let there = |secret: Option<&Secret>| secret.is_some();
    wait::object(&secrets, &binding, "made", Duration::from_secs(30), there).await?;
    let client = ClientPod::start(
        &lab.client,
        namespace,
        &format!("{name}-first-write"),
        &binding,
        &["first-write"],
        None,
    )
    .await?;
    bus.await_ready(Duration::from_mins(3)).await?;
    let ready = began.elapsed();
    let first: FirstWrite = client.answer(Duration::from_mins(1)).await?;
    let accepted = Duration::from_millis(first.accepted_at_ms).saturating_sub(began_at);
    lab.note(format_args!(
        "{name}: first accepted write after {:.1} s ({} refused before), Ready after {:.1} s (aim: {} s)",
        accepted.as_secs_f64(),
        first.refused_before,
        ready.as_secs_f64(),
        AIM.as_secs(),
    ));

    let primary = agreement::check(&bus).await?;
    prints(&bus, expected::SAMPLE).await?;
    lab.note(format_args!(
        "{name}: all servers and Sentinels agree on {primary}"
    ));
    Ok(bus)
}

/// The `CacheBus` of the sample file.
pub fn sample() -> anyhow::Result<CacheBus> {
    SAMPLE
        .split("\n---\n")
        .find(|document| document.contains("kind: CacheBus"))
        .context("the sample file has no CacheBus")
        .and_then(|document| Ok(serde_saphyr::from_str(document)?))
}
