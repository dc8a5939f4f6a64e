//! Failure 2: a primary that comes back without its data while its replicas live.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, small};
use crate::keys;
use crate::lab::Lab;
use crate::wait;
use crate::watch::{self, Watch};

/// Time for Sentinels to replace a primary, and for it to become a replica.
const LIMIT: Duration = Duration::from_mins(2);

pub const SCENARIO: Scenario = Scenario {
    name: "emptied_primary",
    proves: "a primary that comes back without its data, alone or with every replica but one, never leads: a replica that kept it takes over with every key",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(&lab, &namespace, "bus", small(keys::spec())?).await?;
    keys::load(&lab, &bus, keys::some(&lab)).await?;
    empty(&lab, &bus, 0).await.context("the primary")?;
    let all_but_one = usize::try_from(bus.spec.replicas)? - 1;
    empty(&lab, &bus, all_but_one)
        .await
        .context("every copy but one replica's")
}

/// Has the primary come back without its data, and so many replicas with it, while the others live.
async fn empty(lab: &Lab, bus: &Bus, replicas: usize) -> anyhow::Result<()> {
    let before = agreement::check(bus).await?;
    let watched = Watch::start(bus);
    let pods = bus.pods();
    let others = bus.data_places().into_iter().map(|place| place.pod);
    let others: Vec<String> = others.filter(|pod| *pod != before).collect();
    let (emptied, kept) = others.split_at(replicas);
    let emptied: Vec<&String> = [&before].into_iter().chain(emptied).collect();
    let mut uids = pods.uids().await?;
    uids.retain(|pod, _| emptied.contains(&pod));
    for pod in &emptied {
        bus.drop_volume(pod).await?;
    }
    let began = Instant::now();
    for pod in &emptied {
        pods.kill_one(pod).await?;
    }
    // The pods that come; with what they had, those that die rightly led until then, and may have handed the lead over.
    let reborn = Watch::start(bus);
    pods.await_replaced(&uids, LIMIT).await?;
    let after = wait::until("another primary", LIMIT, || async {
        let now = bus.primary().await?;
        ensure!(now != before, "it is still {now}");
        Ok(now)
    })
    .await?;
    ensure!(kept.contains(&after), "{after} leads, and came back empty");
    bus.await_ready(LIMIT).await?;
    lab.note(format_args!(
        "{emptied:?} came back empty, {after} leads, Ready after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    ensure!(
        agreement::check(bus).await? == after,
        "the primary moved again"
    );
    keys::verify(lab, bus, keys::some(lab)).await?;
    watch::never_two(&watched.seen())?;
    let history = reborn.seen();
    ensure!(
        history
            .primaries()
            .is_subset(&BTreeSet::from([after.as_str()])),
        "other primaries than {after}: {history}"
    );
    Ok(())
}
