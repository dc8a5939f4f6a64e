//! A node that is gone for good, with the volumes on it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use serde_json::json;

use super::Scenario;
use super::drain::everywhere;
use super::storage::claims;
use crate::acks::{self, Writer};
use crate::bus::{Bus, READY, small};
use crate::lab::Lab;
use crate::nodes::Place;
use crate::outage::Lost;
use crate::watch::{self, Watch};
use crate::{drain, faults};

/// Time in which what is gone with a node is told, forced away and made good elsewhere: pods are collected some 40 s after it.
const HEALED: Duration = Duration::from_mins(6);

/// The fencing window.
const WINDOW: Duration = Duration::from_secs(3);

pub const SCENARIO: Scenario = Scenario {
    name: "node_lost",
    proves: "the primary's node, lost for good with its volumes and with two of three Sentinels, is made good without a hand: full replicas on new volumes, what was acknowledged before is kept, and two primaries for no longer than the fencing window",
    alone: true,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let spec = small(everywhere(watch::granted(json!({}))))?;
    let bus = Bus::ready(&lab, &namespace, "bus", spec).await?;
    for places in [bus.data_places(), bus.sentinel_places()] {
        spread(&bus, &places).await?;
    }
    faults::move_off_control_plane(&bus).await?;
    let primary = faults::healthy(&bus, READY).await?;
    let node = faults::node_of(&bus, &primary).await?;
    second_sentinel(&lab, &bus, &node).await?;
    let writer = Writer::start(&bus);
    writer.some().await?;
    let acknowledged = writer.stop();
    let before = claims(&bus).await?;
    let watched = Watch::start(&bus);
    let lost = Lost::begin(&lab.client, &node).await?;
    let healed = faults::healthy(&bus, HEALED).await;
    let after = claims(&bus).await;
    lost.replace().await?;
    let now = healed.with_context(|| format!("{node} is gone for good"))?;
    let after = after?;
    let new: BTreeSet<&String> = after
        .iter()
        .filter(|(name, claim)| before.get(*name).and_then(kube::ResourceExt::uid) != claim.uid())
        .map(|(name, _)| name)
        .collect();
    let seen = watched.seen();
    lab.note(format_args!(
        "{node} lost for good with {primary}, which led: {now} leads, new volumes: {new:?}; {seen}"
    ));
    ensure!(new.contains(&bus.names.claim(&primary)), "new: {new:?}");
    watch::two_no_longer_than(WINDOW, &seen)?;
    // Sentinels that remember and those that begin anew agree on the one that the operator chose.
    ensure!(
        seen.primaries() == BTreeSet::from([primary.as_str(), now.as_str()]),
        "others led: {seen}"
    );
    acks::verify(&bus, &acknowledged).await
}

/// Fails unless each of these is on a node of its own, although one of the lab's three nodes is in no zone.
async fn spread(bus: &Bus, places: &[Place]) -> anyhow::Result<()> {
    let mut nodes = BTreeSet::new();
    for place in places {
        nodes.insert(faults::node_of(bus, &place.pod).await?);
    }
    ensure!(nodes.len() == places.len(), "{places:?} are on {nodes:?}");
    Ok(())
}

/// Has one more Sentinel live on a node, so that most of them are lost with it.
async fn second_sentinel(lab: &Lab, bus: &Bus, node: &str) -> anyhow::Result<()> {
    let mut elsewhere = None;
    for place in bus.sentinel_places() {
        if faults::node_of(bus, &place.pod).await? != node {
            elsewhere = Some(place.pod);
        }
    }
    let moved = elsewhere.with_context(|| format!("every Sentinel is on {node}"))?;
    let mut others = drain::nodes(&lab.client).await?;
    others.retain(|other| other != node);
    for other in &others {
        drain::cordon(&lab.client, other, true).await?;
    }
    let result = bus.renew(&[&moved], true).await;
    for other in &others {
        drain::cordon(&lab.client, other, false).await?;
    }
    result?;
    faults::healthy(bus, READY).await?;
    Ok(())
}
