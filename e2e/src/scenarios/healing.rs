//! Single pods that die come back by themselves, and the primary stays where it is.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, READY, small};
use crate::lab::Lab;
use crate::wait;
use crate::watch::{self, Watch};
use serde_json::json;

pub const SCENARIO: Scenario = Scenario {
    name: "healing",
    proves: "a replica and a Sentinel that die come back, also with empty volumes, and the primary never moves",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(&lab, &namespace, "bus", small(watch::granted(json!({})))?).await?;
    let primary = agreement::check(&bus).await?;
    bus.on_primary::<()>(&["SET", "agent:1", "kept"]).await?;
    let watched = Watch::start(&bus);
    let replica = bus
        .data_places()
        .into_iter()
        .map(|place| place.pod)
        .find(|pod| *pod != primary)
        .context("the bus has no replica")?;
    let sentinel = bus.sentinel_places().remove(0).pod;
    let myid = sentinel_id(&bus, &sentinel).await?;
    let killed = [&replica, &sentinel];
    for empty in [false, true] {
        bus.renew(&killed, empty).await?;
        bus.await_ready(READY).await?;
        ensure!(
            agreement::check(&bus).await? == primary,
            "the primary moved"
        );
        let volumes = if empty { ", with empty volumes" } else { "" };
        lab.note(format_args!("{killed:?} killed{volumes}: all agree again"));
        ensure!(
            empty || sentinel_id(&bus, &sentinel).await? == myid,
            "the Sentinel has another id"
        );
    }
    let history = watched.seen();
    ensure!(history.primaries().len() == 1, "another primary: {history}");
    wait::until(
        "every copy has the key",
        Duration::from_secs(10),
        || async {
            for place in bus.data_places() {
                let node = bus.root(place).await?;
                let value: Option<String> = node.call(&["GET", "agent:1"]).await?;
                ensure!(value.as_deref() == Some("kept"), "{}: {value:?}", node.pod);
            }
            Ok(())
        },
    )
    .await
}

async fn sentinel_id(bus: &Bus, pod: &str) -> anyhow::Result<String> {
    let nodes = bus.sentinel_nodes().await?;
    let sentinel = nodes
        .iter()
        .find(|node| node.pod == pod)
        .context("no such Sentinel")?;
    sentinel.call(&["SENTINEL", "MYID"]).await
}
