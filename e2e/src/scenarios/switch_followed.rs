//! Failure 8: the primary moves and no pod changes; routes, label and clients follow at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cachebus_core::names::ROLE_LABEL;
use futures::future::{BoxFuture, select_ok};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::client_pod::ClientPod;
use crate::events::Events;
use crate::lab::Lab;
use crate::nodes::Node;
use crate::wait;

/// Time from a Sentinel that names another primary to the route, and to the label.
const FOLLOWED: Duration = Duration::from_secs(5);

/// Time for Sentinels to carry a failover out.
const FAILOVER: Duration = Duration::from_secs(30);

/// Time from the switch to the end of the connections to the old primary.
const ENDED: Duration = Duration::from_secs(15);

/// Time for the Events of a transition to be there: they are written right after it.
const TOLD: Duration = Duration::from_secs(10);

/// Between two questions to a Sentinel.
const PAUSE: Duration = Duration::from_millis(20);

const SERVICE: &str = "writer";

pub const SCENARIO: Scenario = Scenario {
    name: "switch_followed",
    proves: "a failover that a person asks a Sentinel for, without any event of a pod, moves the primary's route and the role label within 5 s, ends the old primary's connections, and is told in Events, each transition once",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let spec = small(json!({
        "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
        "services": [{"name": SERVICE, "cache": {"write": ["agent"]}}],
    }))?;
    let bus = Bus::ready(&lab, &namespace, "bus", spec).await?;
    let before = agreement::check(&bus).await?;
    let uids = bus.pods().uids().await?;
    let addresses = addresses(&bus).await?;
    let client = ClientPod::start(
        &lab.client,
        &namespace,
        "held",
        &bus.names.binding(SERVICE),
        &["hold"],
        None,
    )
    .await?;
    client.await_line("held", READY).await?;

    // Reaching them takes longer than what is measured.
    let sentinels = bus.sentinel_nodes().await?;
    let (named, routed, labelled, asked) = tokio::join!(
        named(&bus, &sentinels, &before),
        routed(&bus, &addresses[&before]),
        labelled(&bus, &before),
        ask(&bus),
    );
    asked?;
    let (named, after) = named?;
    let (routed, address) = routed?;
    let (labelled, pod) = labelled?;
    ensure!(
        (address.as_str(), pod.as_str()) == (addresses[&after].as_str(), after.as_str()),
        "Sentinels name {after}; the route leads to {address}, the label is on {pod}"
    );
    let (routed, labelled) = (since(named, routed), since(named, labelled));
    client.await_line("ended", ENDED).await?;
    lab.note(format_args!(
        "{before} to {after}: routed after {} ms, labelled after {} ms, the client's connection ended within {} ms",
        routed.as_millis(),
        labelled.as_millis(),
        named.elapsed().as_millis(),
    ));
    ensure!(routed <= FOLLOWED, "routed after {routed:?}");
    ensure!(labelled <= FOLLOWED, "labelled after {labelled:?}");

    bus.await_ready(READY).await?;
    ensure!(
        agreement::check(&bus).await? == after,
        "the primary moved again"
    );
    ensure!(bus.pods().uids().await? == uids, "a pod was replaced");
    wait::until("each transition is told once", TOLD, || {
        told(&bus, &before, &after)
    })
    .await
}

/// Fails unless the Events of the bus tell each transition of its life so far, once.
async fn told(bus: &Bus, before: &str, after: &str) -> anyhow::Result<()> {
    let events = Events::of(bus).await?;
    for (reason, note) in [
        ("PrimaryChosen", format!("{before} is the primary (")),
        (
            "PrimaryChanged",
            format!("{after} is the primary now, {before} was before ("),
        ),
    ] {
        let told = events.because(reason);
        ensure!(
            told.len() == 1 && told[0].note.starts_with(&note),
            "{reason}: {told:?}"
        );
    }
    let status = bus.object().await?.status.unwrap_or_default();
    let conditions = status.conditions.into_iter();
    let good = conditions.filter(|condition| condition.status == "True");
    events.alternate(
        &good
            .map(|condition| (condition.type_, condition.reason))
            .collect(),
    )
}

/// Has a Sentinel move the primary, as a person would who types it.
async fn ask(bus: &Bus) -> anyhow::Result<()> {
    let master_name = bus.master_name().await?;
    let failover = ["SENTINEL", "FAILOVER", &master_name];
    bus.on(&bus.sentinel_places().remove(0), &failover).await
}

/// When the first Sentinel names another data pod than this one, and which.
async fn named(bus: &Bus, sentinels: &[Node], before: &str) -> anyhow::Result<(Instant, String)> {
    let master_name = bus.master_name().await?;
    let watching = sentinels
        .iter()
        .map(|sentinel| -> BoxFuture<'_, anyhow::Result<_>> {
            Box::pin(moved(bus, sentinel, &master_name, before))
        });
    let (first, _) = tokio::time::timeout(FAILOVER, select_ok(watching))
        .await
        .context("no Sentinel names another primary")??;
    Ok(first)
}

async fn moved(
    bus: &Bus,
    sentinel: &Node,
    master_name: &str,
    before: &str,
) -> anyhow::Result<(Instant, String)> {
    let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", master_name];
    loop {
        let (host, _): (String, u16) = sentinel.call(&question).await?;
        let pod = bus.names.data_pod_of_host(&host);
        let pod = pod.with_context(|| format!("{} names {host}", sentinel.pod))?;
        if pod != before {
            return Ok((Instant::now(), pod));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// When the primary's route leads to another address than this one, and to which.
async fn routed(bus: &Bus, before: &str) -> anyhow::Result<(Instant, String)> {
    let slices: Api<EndpointSlice> = Api::namespaced(bus.client.clone(), bus.names.namespace());
    let moved = |slice: Option<&EndpointSlice>| {
        slice
            .and_then(leads_to)
            .is_some_and(|address| address != before)
    };
    let name = bus.names.primary_service();
    let slice = wait::object(&slices, &name, "leads elsewhere", FAILOVER, moved).await?;
    let at = Instant::now();
    let address = slice.as_ref().and_then(leads_to);
    Ok((at, address.context("the slice leads nowhere")?.to_owned()))
}

fn leads_to(slice: &EndpointSlice) -> Option<&str> {
    let address = slice.endpoints.first()?.addresses.first()?;
    Some(address)
}

/// When another data pod than this one is labelled the primary, and which.
async fn labelled(bus: &Bus, before: &str) -> anyhow::Result<(Instant, String)> {
    let pods: &Api<Pod> = &Api::namespaced(bus.client.clone(), bus.names.namespace());
    let others = bus.data_places().into_iter().map(|place| place.pod);
    let watching =
        others
            .filter(|pod| pod != before)
            .map(|pod| -> BoxFuture<'_, anyhow::Result<_>> {
                Box::pin(async move {
                    let is_primary = |pod: Option<&Pod>| {
                        pod.is_some_and(|pod| {
                            let role = pod.labels().get(ROLE_LABEL);
                            role.is_some_and(|role| role == "primary")
                        })
                    };
                    wait::object(pods, &pod, "labelled primary", FAILOVER, is_primary).await?;
                    Ok((Instant::now(), pod))
                })
            });
    let (first, _) = select_ok(watching).await?;
    Ok(first)
}

/// The address of each data pod.
async fn addresses(bus: &Bus) -> anyhow::Result<BTreeMap<String, String>> {
    let pods = bus.pods().list().await?;
    Ok(pods
        .into_iter()
        .filter_map(|pod| {
            let address = pod.status.as_ref()?.pod_ip.clone()?;
            Some((pod.name_any(), address))
        })
        .collect())
}

fn since(start: Instant, end: Instant) -> Duration {
    end.saturating_duration_since(start)
}
