//! Failures 4, 7, 9 and 10: Sentinels join, leave and lose what they knew, and there is a failover all the same.

use std::time::{Duration, Instant};

use anyhow::ensure;
use cachebus_e2e::history::check;

use super::Scenario;
use crate::bus::{Bus, small};
use crate::faults::{self, Fault};
use crate::lab::Lab;
use crate::load::{self, Load, Style};
use crate::watch::{Watch, never_two};
use crate::{agreement, trial};

/// Time for two Sentinels to join or leave: each change of their number waits until kubelet has brought it to every data pod.
const SCALED: Duration = Duration::from_mins(10);

/// Time for a bus to be whole again.
const WHOLE: Duration = Duration::from_mins(4);

/// For minutes: a history of all that is usual would be too long to fetch.
const LONG: Style = Style {
    rate: 100,
    ..trial::USUAL
};

pub const SCENARIO: Scenario = Scenario {
    name: "sentinels",
    proves: "under load, Sentinels become five, and a killed primary is replaced; with `--long` three again, likewise, and then one and all lose their volumes: each ends with exactly the Sentinels of the spec known to all, and never with two servers that take writes",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let mut bus = Bus::ready(&lab, &namespace, "bus", small(load::granted())?).await?;
    agreement::check(&bus).await?;
    let load = Load::start(&bus, "scaled", LONG, None).await?;
    let watch = Watch::start(&bus);
    let sizes: &[u32] = if lab.long { &[5, 3] } else { &[5] };
    for &sentinels in sizes {
        let began = Instant::now();
        bus.spec.sentinel.replicas = sentinels;
        bus.send().await?;
        bus.await_ready(SCALED).await?;
        let before = agreement::check(&bus).await?;
        lab.note(format_args!(
            "{sentinels} Sentinels after {:?}",
            began.elapsed()
        ));
        Fault::Kill.befall(&bus, &before).await?;
        let after = faults::healthy(&bus, WHOLE).await?;
        ensure!(after != before, "{before} still leads");
    }
    if lab.long {
        lose_volumes(&lab, &bus).await?;
    }

    let seen = watch.seen();
    let verdict = check(&load.stop().await?, &load::finals(&bus, "scaled").await?);
    lab.note(format_args!(
        "{} acknowledged, {} lost, {} unknown",
        verdict.acknowledged, verdict.lost, verdict.unknown
    ));
    let never = verdict.impossible();
    ensure!(never.is_empty(), "{never:?}");
    ensure!(verdict.acknowledged > 0, "the clients did nothing");
    never_two(&seen)
}

/// One Sentinel and then all of them come back with empty volumes: the primary stays, and can still be replaced.
async fn lose_volumes(lab: &Lab, bus: &Bus) -> anyhow::Result<()> {
    let primary = bus.primary().await?;
    let all: Vec<String> = bus
        .sentinel_places()
        .into_iter()
        .map(|place| place.pod)
        .collect();
    for emptied in [&all[1..2], &all[..]] {
        let began = Instant::now();
        bus.renew(emptied, true).await?;
        ensure!(
            faults::healthy(bus, WHOLE).await? == primary,
            "the primary moved"
        );
        lab.note(format_args!(
            "{} of {} volumes lost: well after {:?}",
            emptied.len(),
            all.len(),
            began.elapsed()
        ));
    }
    // Those that begin anew can still replace the primary.
    Fault::Kill.befall(bus, &primary).await?;
    faults::healthy(bus, WHOLE).await?;
    Ok(())
}
