//! A bus full of keys: written and verified by clients in the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::ensure;
use cachebus_e2e::dataset::LIBRARY;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bus::Bus;
use crate::client_pod::ClientPod;
use crate::lab::Lab;
use crate::{wait, watch};

/// How many where the number itself is at stake.
pub const MANY: u64 = 100_000;

/// The service that writes them.
const WRITER: &str = "writer";

/// Time for a client to write or to read them all.
const LIMIT: Duration = Duration::from_mins(3);

/// What [`verify`]'s client tells.
#[derive(Deserialize)]
struct Verified {
    checked: u64,
    amiss: BTreeMap<String, u64>,
}

/// A bus that evicts nothing, has room for the keys, and can be watched.
pub fn spec() -> Value {
    watch::granted(json!({
        "memory": {"max": "160Mi", "policy": "noeviction"},
        "resources": {"limits": {"memory": "320Mi"}},
        "storage": {"size": "256Mi"},
        "cache": {"keyspaces": [
            {"name": "agent", "key": "agent:{id}", "ttl": "6h"},
            {"name": "lock", "key": "lock:{resource}", "ttl": "6h", "kind": "Lock"},
        ]},
        "events": {"channels": [{"name": "agent", "events": ["updated"]}]},
        "services": [{"name": WRITER, "cache": {"write": ["agent", "lock"]}, "publish": ["agent"]}],
    }))
}

/// How many where any number shows it: fewer in the short form.
pub fn some(lab: &Lab) -> u64 {
    if lab.long { MANY } else { MANY / 10 }
}

/// Writes so many keys, and waits until every byte of every copy has left the servers' memory.
pub async fn load(lab: &Lab, bus: &Bus, number: u64) -> anyhow::Result<()> {
    bus.on_primary::<()>(&["FUNCTION", "LOAD", "REPLACE", LIBRARY])
        .await?;
    let keys = number.to_string();
    client(lab, bus, "load", &["load", "--keys", &keys])
        .await?
        .output(LIMIT)
        .await?;
    let what = "every copy is on disk";
    wait::until(what, Duration::from_secs(30), || on_disk(bus)).await?;
    lab.note(format_args!("{number} keys written"));
    Ok(())
}

async fn on_disk(bus: &Bus) -> anyhow::Result<()> {
    let mut offsets = BTreeSet::new();
    for node in bus.data_nodes().await? {
        let persistence = node.info("persistence").await?;
        let pending = persistence.get("aof_buffer_length").map(String::as_str);
        // Without an append-only file there is no buffer.
        ensure!(
            matches!(pending, None | Some("0")),
            "{} still buffers",
            node.pod
        );
        offsets.insert(node.info("replication").await?.remove("master_repl_offset"));
    }
    ensure!(offsets.len() == 1, "copies differ");
    Ok(())
}

/// Fails unless every key is there, through the Service.
pub async fn verify(lab: &Lab, bus: &Bus, number: u64) -> anyhow::Result<()> {
    let keys = number.to_string();
    let found: Verified = client(lab, bus, "verify", &["verify", "--keys", &keys])
        .await?
        .answer(LIMIT)
        .await?;
    ensure!(
        found.checked == number && found.amiss.is_empty(),
        "of {} keys amiss: {:?}",
        found.checked,
        found.amiss
    );
    Ok(())
}

async fn client(lab: &Lab, bus: &Bus, name: &str, command: &[&str]) -> anyhow::Result<ClientPod> {
    let namespace = bus.names.namespace();
    let binding = bus.names.binding(WRITER);
    ClientPod::start(&lab.client, namespace, name, &binding, command, None).await
}
