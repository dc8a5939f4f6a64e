//! One fault, or two at once, under load.

use std::time::Duration;

use anyhow::Context as _;

use super::row::name;
use super::scene::Scene;
use super::small_disk::SmallDisk;
use super::told::Listener;
use super::{Fault, Row, Whose};
use crate::bench;
use crate::bus::{self, Bus};
use crate::faults;
use crate::lab::Lab;
use crate::load::Style;
use crate::trial::Running;

/// The writers in Rust have each write confirmed by a replica, those in Python take the primary's word.
const STYLE: Style = Style {
    rate: 300,
    confirm: 1,
    confirm_python: 0,
};

/// The second of two faults comes when the first is under way.
const SECOND: Duration = Duration::from_secs(2);

/// Time for a bus to be well with a pod on another disk.
const WELL: Duration = Duration::from_mins(3);

/// The bus that faults befall, in a namespace of its own.
pub async fn fresh_bus(lab: &Lab) -> anyhow::Result<Bus> {
    let namespace = lab.namespace().await?;
    Bus::ready(lab, &namespace, "bus", bus::small(bench::spec())?).await
}

/// Has faults befall the bus at once, waits until all is well again, and judges. `number` marks the writes of this time.
pub async fn one(
    lab: &Lab,
    bus: &Bus,
    faults: &[&Fault],
    number: usize,
    seed: u64,
) -> anyhow::Result<Row> {
    let small = faults.iter().find_map(|fault| fault.small_disk);
    let disk = match small {
        Some(whose) => Some(small_disk(bus, whose).await.context("a small disk")?),
        None => None,
    };
    let apart = faults.iter().any(|fault| fault.takes_the_node);
    let running = Running::begin(bus, &format!("n{number}"), STYLE, apart).await?;
    let scene = Scene {
        lab: lab.clone(),
        bus: bus.clone(),
        primary: running.from.clone(),
        seed,
        disk,
    };
    let listener = Listener::begin(bus).await?;
    let befalling = faults.iter().enumerate().map(|(number, fault)| {
        let (scene, later) = (&scene, SECOND * u32::try_from(number).unwrap_or_default());
        async move {
            tokio::time::sleep(later).await;
            let befallen = (fault.befall)(scene).await;
            befallen.with_context(|| fault.name)
        }
    });
    futures::future::try_join_all(befalling).await?;
    let trial = running.end().await.with_context(|| name(faults))?;
    let row = Row::of(faults, &trial, listener.end().await?);
    if let Some(disk) = scene.disk {
        let pod = disk.pod.clone();
        drop(disk);
        replaced(bus, &pod).await?;
    }
    Ok(row)
}

/// Puts a replica's volume on a small disk, and has it lead where it is to be the primary's.
async fn small_disk(bus: &Bus, whose: Whose) -> anyhow::Result<SmallDisk> {
    let primary = faults::healthy(bus, WELL).await?;
    let places = bus.data_places().into_iter();
    let mut replicas = places.map(|place| place.pod).filter(|pod| *pod != primary);
    let replica = replicas.next().context("the bus has no replica")?;
    let disk = SmallDisk::begin(bus, &replica).await?;
    replaced(bus, &replica).await?;
    if whose == Whose::Primary {
        faults::ask_switchover(bus, &replica).await?;
        crate::wait::until("it leads", WELL, || async {
            let leads = bus.primary().await?;
            anyhow::ensure!(leads == replica, "{leads} leads");
            Ok(())
        })
        .await?;
    }
    Ok(disk)
}

/// Has a pod start anew, with the disk that its volume is on by now.
async fn replaced(bus: &Bus, pod: &str) -> anyhow::Result<()> {
    let uid = faults::uid(bus, pod).await?;
    let pods = bus.pods();
    pods.delete_one(pod).await?;
    let before = std::collections::BTreeMap::from([(pod.to_owned(), uid)]);
    pods.await_replaced(&before, WELL).await?;
    faults::healthy(bus, WELL).await?;
    Ok(())
}
