//! Failure 2: a primary that comes back without its data while its replicas live.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, small};
use crate::keys;
use crate::lab::Lab;
use crate::roles::Sampler;
use crate::wait;

/// Time for Sentinels to replace a primary, and for it to become a replica.
const LIMIT: Duration = Duration::from_mins(2);

pub const SCENARIO: Scenario = Scenario {
    name: "emptied_primary",
    proves: "a primary that comes back without its data never leads: a replica takes over with every key, the Service follows (issue 4; failures 2, 8, 10)",
    alone: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(&lab, &namespace, "bus", small(keys::spec())?).await?;
    keys::load(&lab, &bus).await?;
    let before = agreement::check(&bus).await?;
    let sampler = Sampler::start(&bus);
    let pods = bus.pods();
    let uid = pods.uids().await?.remove(&before).context("no primary")?;
    bus.drop_volume(&before).await?;
    let began = Instant::now();
    pods.kill_one(&before).await?;
    pods.await_replaced(&BTreeMap::from([(before.clone(), uid)]), LIMIT)
        .await?;
    let after = wait::until("another primary", LIMIT, || async {
        let now = bus.primary().await?;
        ensure!(now != before, "it is still {now}");
        Ok(now)
    })
    .await?;
    bus.await_ready(LIMIT).await?;
    lab.note(format_args!(
        "{before} came back empty, {after} leads, Ready after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    ensure!(
        agreement::check(&bus).await? == after,
        "the primary moved again"
    );
    keys::verify(&lab, &bus).await?;
    let mut history = sampler.stop().await;
    history.forget_before_silence(&before);
    history.never_two_primaries()?;
    ensure!(
        history.primaries() == BTreeSet::from([after.as_str()]),
        "other primaries than {after}: {history}"
    );
    Ok(())
}
