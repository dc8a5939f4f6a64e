//! Row 4: nothing is lost when all pods die at once, whatever volumes come back empty.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, small};
use crate::client_pod::ClientPod;
use crate::lab::Lab;
use crate::roles::Sampler;
use crate::wait;
use cachebus_e2e::dataset::LIBRARY;

/// Keys of the dataset.
const KEYS: u64 = 100_000;

/// Time for a bus to come back: pods, volumes, and a wait for copies that the architecture bounds at 30 s.
const BACK: Duration = Duration::from_mins(4);

/// The service that writes the dataset.
const WRITER: &str = "writer";

pub const SCENARIO: Scenario = Scenario {
    name: "total_restart",
    proves: "100,000 keys of plain writes, MULTI/EXEC and functions outlive the death of all pods at once; an emptied copy never leads (issue 4; failures 1, 2)",
    alone: false,
    run: |lab| Box::pin(run(lab)),
};

/// Which volumes come back empty.
struct Loss {
    about: &'static str,
    /// That of the pod which was the primary.
    primary: bool,
    sentinels: bool,
}

const LOSSES: &[Loss] = &[
    Loss {
        about: "every volume kept",
        primary: false,
        sentinels: false,
    },
    Loss {
        about: "the primary's volume empty",
        primary: true,
        sentinels: false,
    },
    Loss {
        about: "every Sentinel's volume empty",
        primary: false,
        sentinels: true,
    },
    Loss {
        about: "the primary's and every Sentinel's volume empty",
        primary: true,
        sentinels: true,
    },
];

#[derive(Deserialize)]
struct Verified {
    checked: u64,
    amiss: BTreeMap<String, u64>,
}

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let bus = Bus::ready(&lab, &namespace, "bus", small(spec())?).await?;
    load(&lab, &bus).await?;
    for loss in LOSSES {
        restart(&lab, &bus, loss)
            .await
            .with_context(|| loss.about)?;
    }
    Ok(())
}

/// A bus that evicts nothing and has room for the dataset.
pub fn spec() -> Value {
    json!({
        "memory": {"max": "160Mi", "policy": "noeviction"},
        "resources": {"limits": {"memory": "320Mi"}},
        "storage": {"size": "256Mi"},
        "cache": {"keyspaces": [
            {"name": "agent", "key": "agent:{id}", "ttl": "6h"},
            {"name": "lock", "key": "lock:{resource}", "ttl": "6h", "kind": "Lock"},
        ]},
        "events": {"channels": [{"name": "agent", "events": ["updated"]}]},
        "services": [{"name": WRITER, "cache": {"write": ["agent", "lock"]}, "publish": ["agent"]}],
    })
}

/// Writes the dataset, and waits until every byte of it has left the servers' memory.
pub async fn load(lab: &Lab, bus: &Bus) -> anyhow::Result<()> {
    bus.on_primary::<()>(&["FUNCTION", "LOAD", "REPLACE", LIBRARY])
        .await?;
    let keys = KEYS.to_string();
    client(lab, bus, "load", &["load", "--keys", &keys])
        .await?
        .output(Duration::from_mins(3))
        .await?;
    let limit = Duration::from_secs(30);
    wait::until("every copy is on disk", limit, || async {
        let mut offsets = BTreeSet::new();
        for node in bus.data_nodes().await? {
            let persistence = node.info("persistence").await?;
            let pending = persistence.get("aof_buffer_length").map(String::as_str);
            ensure!(
                pending == Some("0"),
                "{} has not written its buffer",
                node.pod
            );
            offsets.insert(node.info("replication").await?.remove("master_repl_offset"));
        }
        ensure!(offsets.len() == 1, "copies differ");
        Ok(())
    })
    .await?;
    lab.note(format_args!("{KEYS} keys written"));
    Ok(())
}

/// Fails unless the whole dataset is there.
pub async fn verify(lab: &Lab, bus: &Bus) -> anyhow::Result<()> {
    let keys = KEYS.to_string();
    let found: Verified = client(lab, bus, "verify", &["verify", "--keys", &keys])
        .await?
        .answer(Duration::from_mins(3))
        .await?;
    ensure!(
        found.checked == KEYS && found.amiss.is_empty(),
        "amiss: {:?}",
        found.amiss
    );
    Ok(())
}

async fn client(lab: &Lab, bus: &Bus, name: &str, command: &[&str]) -> anyhow::Result<ClientPod> {
    let binding = bus.names.binding(WRITER);
    ClientPod::start(
        &lab.client,
        bus.names.namespace(),
        name,
        &binding,
        command,
        None,
    )
    .await
}

async fn restart(lab: &Lab, bus: &Bus, loss: &Loss) -> anyhow::Result<()> {
    let before = bus.primary().await?;
    let uids = bus.pods().uids().await?;
    let passwords = bus.access().await?.passwords;
    let mut emptied = Vec::new();
    if loss.primary {
        emptied.push(before.clone());
    }
    if loss.sentinels {
        emptied.extend(bus.sentinel_places().into_iter().map(|place| place.pod));
    }
    let sampler = Sampler::start(bus);
    for pod in &emptied {
        bus.drop_volume(pod).await?;
    }
    let began = std::time::Instant::now();
    bus.pods().kill().await?;
    bus.pods().await_replaced(&uids, BACK).await?;
    bus.await_ready(BACK).await?;
    let back = began.elapsed();
    let after = agreement::check(bus).await?;
    let mut history = sampler.stop().await;
    history.forget_before_silence(&before);
    history.never_two_primaries()?;
    let led = history.primaries();
    if loss.primary {
        ensure!(
            !led.contains(before.as_str()),
            "{before} led without its data: {history}"
        );
    } else {
        ensure!(
            led == BTreeSet::from([before.as_str()]),
            "other primaries than {before}: {history}"
        );
    }
    verify(lab, bus).await?;
    bus.same_passwords(&passwords).await?;
    lab.note(format_args!(
        "{}: back after {:.1} s, {before} led, {after} leads, every key there",
        loss.about,
        back.as_secs_f64()
    ));
    Ok(())
}
