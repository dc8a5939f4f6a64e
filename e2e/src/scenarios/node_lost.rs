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
use crate::faults;
use crate::lab::Lab;
use crate::outage::Lost;
use crate::watch::{self, Watch};

/// Time in which what is gone with a node is told, forced away and made good elsewhere: pods are collected some 40 s after it.
const HEALED: Duration = Duration::from_mins(6);

/// The fencing window.
const WINDOW: Duration = Duration::from_secs(3);

pub const SCENARIO: Scenario = Scenario {
    name: "node_lost",
    proves: "the primary's node, lost for good with its volumes, is made good without a hand: full replicas on new volumes, what was acknowledged before is kept, and two primaries for no longer than the fencing window",
    alone: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let spec = small(everywhere(watch::granted(json!({}))))?;
    let bus = Bus::ready(&lab, &namespace, "bus", spec).await?;
    faults::move_off_control_plane(&bus).await?;
    let primary = faults::healthy(&bus, READY).await?;
    let writer = Writer::start(&bus);
    writer.some().await?;
    let acknowledged = writer.stop();
    let before = claims(&bus).await?;
    let watched = Watch::start(&bus);
    let node = faults::node_of(&bus, &primary).await?;
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
    acks::verify(&bus, &acknowledged).await
}
