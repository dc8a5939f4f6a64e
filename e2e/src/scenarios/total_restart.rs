//! Nothing is lost when all pods die at once, whatever volumes come back empty.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, small};
use crate::keys;
use crate::lab::Lab;
use crate::process::Process;
use crate::watch::{self, Watch};

/// Time for a bus to come back: pods, volumes, and a wait for copies that the architecture bounds at 30 s.
const BACK: Duration = Duration::from_mins(4);

pub const SCENARIO: Scenario = Scenario {
    name: "total_restart",
    proves: "100,000 keys of plain writes, MULTI/EXEC and functions outlive the death of all pods at once; an emptied copy never leads",
    alone: false,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

/// Which volumes come back empty.
struct Loss {
    about: &'static str,
    copies: Copies,
    sentinels: bool,
}

/// Which data pods lose their volume.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    /// None.
    None,
    /// The one that was the primary.
    Primaries,
    /// All but one that was a replica.
    AllButOne,
}

/// The short form takes every so many-th of [`LOSSES`].
const STRIDE: usize = 2;

const LOSSES: &[Loss] = &[
    Loss {
        about: "every volume kept",
        copies: Copies::None,
        sentinels: false,
    },
    Loss {
        about: "the primary's volume empty",
        copies: Copies::Primaries,
        sentinels: false,
    },
    Loss {
        about: "every Sentinel's volume empty",
        copies: Copies::None,
        sentinels: true,
    },
    Loss {
        about: "the primary's and every Sentinel's volume empty",
        copies: Copies::Primaries,
        sentinels: true,
    },
    Loss {
        about: "every copy's volume but one replica's empty",
        copies: Copies::AllButOne,
        sentinels: false,
    },
    Loss {
        about: "every volume but one replica's empty",
        copies: Copies::AllButOne,
        sentinels: true,
    },
];

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(&lab, &namespace, "bus", small(keys::spec())?).await?;
    keys::load(&lab, &bus, keys::MANY).await?;
    let (first, stride) = lab.cases(STRIDE)?;
    for loss in LOSSES.iter().skip(first).step_by(stride) {
        restart(&lab, &bus, loss)
            .await
            .with_context(|| loss.about)?;
    }
    Ok(())
}

async fn restart(lab: &Lab, bus: &Bus, loss: &Loss) -> anyhow::Result<()> {
    let before = bus.primary().await?;
    let uids = bus.pods().uids().await?;
    let passwords = bus.access().await?.passwords;
    let (emptied, may_lead) = copies(bus, loss.copies, &before)?;
    let watched = Watch::start(bus);
    for pod in &emptied {
        bus.drop_volume(pod).await?;
    }
    if loss.sentinels {
        for place in bus.sentinel_places() {
            bus.drop_volume(&place.pod).await?;
        }
    }
    let began = Instant::now();
    // Nothing is handed over and nothing saved; what is deleted by force alone is asked to end first.
    for agent in Process::agents(uids.values())? {
        agent.kill()?;
    }
    bus.pods().kill().await?;
    let reborn = Watch::start(bus);
    bus.pods().await_replaced(&uids, BACK).await?;
    bus.await_ready(BACK).await?;
    let back = began.elapsed();
    let after = agreement::check(bus).await?;
    watch::never_two(&watched.seen())?;
    let history = reborn.seen();
    let led = history.primaries();
    let may_lead: BTreeSet<&str> = may_lead.iter().map(String::as_str).collect();
    ensure!(
        led.is_subset(&may_lead) && !led.is_empty(),
        "{led:?} led, of {may_lead:?} that may: {history}"
    );
    keys::verify(lab, bus, keys::MANY).await?;
    bus.same_passwords(&passwords).await?;
    lab.note(format_args!(
        "{}: back after {:.1} s, {before} led, {after} leads, every key there",
        loss.about,
        back.as_secs_f64()
    ));
    Ok(())
}

/// The pods that lose their volume, and those of which one may lead afterwards.
fn copies(bus: &Bus, lost: Copies, primary: &str) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let pods: Vec<String> = bus
        .data_places()
        .into_iter()
        .map(|place| place.pod)
        .collect();
    let (primaries, replicas): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| pod == primary);
    Ok(match lost {
        // Of those that have everything, any may lead.
        Copies::None => (Vec::new(), [primaries, replicas].concat()),
        Copies::Primaries => (primaries, replicas),
        Copies::AllButOne => {
            let (kept, others) = replicas.split_last().context("the bus has no replica")?;
            ([primaries, others.to_vec()].concat(), vec![kept.clone()])
        }
    })
}
