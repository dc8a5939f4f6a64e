//! Without an append-only file: a crashed primary must not come back with an older snapshot; and the change to one.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_api::persistence::Aof;
use serde_json::json;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, merge, small};
use crate::keys;
use crate::lab::Lab;
use crate::process::Process;
use crate::wait;
use crate::watch::{self, Watch};

/// Time for a bus to come back.
const BACK: Duration = Duration::from_mins(2);

pub const SCENARIO: Scenario = Scenario {
    name: "snapshots_only",
    proves: "without an append-only file a crashed primary leaves the lead to a replica and no key is lost; after a switch to one all pods die and come back whole",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let mut spec = keys::spec();
    // A snapshot an hour: none is written between the keys and the crash.
    let snapshots =
        json!({"persistence": {"aof": "disabled", "rdb": [{"after": "1h", "changes": 1}]}});
    merge(&mut spec, snapshots);
    let mut bus = Bus::ready(&lab, &namespace, "bus", small(spec)?).await?;
    keys::load(&lab, &bus, keys::some(&lab)).await?;
    let before = bus.primary().await?;
    let watched = Watch::start(&bus);
    let uid = bus
        .pods()
        .uids()
        .await?
        .remove(&before)
        .context("the primary has no pod")?;
    let servers = Process::all("redis-server", None)?;
    let mut own = servers.iter().filter(|server| server.is_of_pod(&uid));
    own.next().context("the primary has no server")?.kill()?;
    let after = wait::until("a replica leads", BACK, || async {
        let primary = agreement::topology(&bus).await?;
        ensure!(primary != before, "{before} is still the primary");
        Ok(primary)
    })
    .await?;
    keys::verify(&lab, &bus, keys::some(&lab)).await?;
    lab.note(format_args!(
        "{before} crashed, {after} leads with every key"
    ));
    watch::never_two(&watched.seen())?;

    bus.spec.persistence.aof = Aof::Everysec;
    bus.send().await?;
    bus.await_ready(BACK).await?;
    agreement::check(&bus).await?;
    let what = "every copy is in its append-only file";
    wait::until(what, BACK, || async {
        for node in bus.data_nodes().await? {
            let info = node.info("persistence").await?;
            let state = [
                "aof_enabled",
                "aof_rewrite_in_progress",
                "aof_rewrite_scheduled",
            ]
            .map(|name| info.get(name).map(String::as_str));
            ensure!(
                state == [Some("1"), Some("0"), Some("0")],
                "{}: {state:?}",
                node.pod
            );
        }
        Ok(())
    })
    .await?;
    let uids = bus.pods().uids().await?;
    bus.pods().kill().await?;
    bus.pods().await_replaced(&uids, BACK).await?;
    bus.await_ready(BACK).await?;
    agreement::check(&bus).await?;
    keys::verify(&lab, &bus, keys::some(&lab)).await?;
    lab.note("switched to an append-only file, all pods killed: every key is there");
    Ok(())
}
