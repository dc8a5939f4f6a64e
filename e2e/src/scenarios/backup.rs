//! Backups under load, to S3 and to a volume, and new buses that begin with them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cachebus_api::status::BackupPhase;
use cachebus_api::{BackupStatus, CacheBusBackup};
use cachebus_core::names::Component;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, merge, small};
use crate::keys;
use crate::lab::Lab;
use crate::nodes::Node;
use crate::{s3, wait};

/// Time for a backup to be made and proven, or for a bus to begin with one.
const LIMIT: Duration = Duration::from_mins(4);
/// Claim of the volume that backups go to.
const CLAIM: &str = "backups";
/// Microseconds for which a server pauses before each key that it sends: an upload that can be interrupted takes time.
const PAUSE_US: &str = "500";

/// One write of the load: a counter and a list that any whole copy has at the same length.
const WRITE: &str =
    "local n = redis.call('INCR', 'load:count') return redis.call('RPUSH', 'load:list', n)";
/// How many keys there are of the dataset, and a sum over each with its value and the moment at which it expires.
const DIGEST: &str = r"
local cursor, count, sum = '0', 0, 0
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', 'agent:*', 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    local text = key .. ':' .. redis.call('PEXPIRETIME', key) .. ':' .. redis.call('GET', key)
    count = count + 1
    sum = (sum + tonumber(string.sub(redis.sha1hex(text), 1, 8), 16)) % 4294967296
  end
until cursor == '0'
return {count, sum}";
/// Whether the list is 1, 2, 3 … up to the counter.
const IN_STEP: &str = r"
local list = redis.call('LRANGE', 'load:list', 0, -1)
for place, n in ipairs(list) do if tonumber(n) ~= place then return -1 end end
if tonumber(redis.call('GET', 'load:count')) ~= #list then return -2 end
return #list";

pub const SCENARIO: Scenario = Scenario {
    name: "backup",
    proves: "backups taken under load, encrypted to S3 and plain to a volume, are proven and begin new buses with the same keys and TTLs; an interrupted upload leaves nothing that looks whole",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    s3::start(&lab.client, &namespace).await?;
    claim(&lab, &namespace).await?;
    let old = Bus::ready(&lab, &namespace, "old", small(with_backups())?).await?;
    keys::load(&lab, &old, keys::MANY).await?;

    let load = Load::start(&old).await?;
    let began = Instant::now();
    let to_s3 = made(&old, "to-s3", json!({"bus": "old"})).await?;
    ensure!(to_s3.verified == Some(true), "not proven: {to_s3:?}");
    ensure!(to_s3.encrypted == Some(true), "not encrypted: {to_s3:?}");
    lab.note(format_args!(
        "stored in S3 and proven after {:.1} s: {} bytes, {:?} keys, from {:?}",
        began.elapsed().as_secs_f64(),
        to_s3.size_bytes.unwrap_or_default(),
        to_s3.keys,
        to_s3.source
    ));
    let volume = json!({"volume": {"claimName": CLAIM}});
    let to_volume = json!({"bus": "old", "destination": volume, "verify": false});
    made(&old, "to-volume", to_volume).await?;
    interrupted(&lab, &old).await?;
    let written = load.stop().await?;
    agreement::check(&old).await?;
    let expected = digest(&old).await?;
    old.delete().await?;

    let from_s3 = json!({
        "destination": s3::destination(), "path": to_s3.path, "encryption": s3::encryption(),
    });
    let from_volume = json!({"destination": volume, "path": format!("{namespace}/old/to-volume")});
    for (name, source) in [("from-s3", from_s3), ("from-volume", from_volume)] {
        let began = Instant::now();
        let mut spec = keys::spec();
        merge(&mut spec, json!({"bootstrap": {"fromBackup": source}}));
        let bus = Bus::apply(&lab, &namespace, name, small(spec)?).await?;
        bus.await_ready(LIMIT).await?;
        let took = began.elapsed();
        let found = digest(&bus).await?;
        ensure!(
            found == expected,
            "{name}: {found:?} in place of {expected:?}"
        );
        let length = bus.on_primary::<i64>(&["EVAL", IN_STEP, "0"]).await?;
        ensure!(
            length > 0 && length <= written,
            "{name}: {length} writes of the load, {written} were made"
        );
        keys::verify(&lab, &bus, keys::MANY).await?;
        agreement::check(&bus).await?;
        lab.note(format_args!(
            "{name}: ready after {:.1} s with {} keys, and {length} of {written} writes that were made meanwhile",
            took.as_secs_f64(),
            found.0
        ));
        bus.delete().await?;
    }
    nothing_there(&lab, &namespace).await
}

fn with_backups() -> Value {
    let mut spec = keys::spec();
    let backup = json!({
        "destination": s3::destination(), "encryption": s3::encryption(), "verify": true,
    });
    merge(&mut spec, json!({"backup": backup}));
    spec
}

async fn claim(lab: &Lab, namespace: &str) -> anyhow::Result<()> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(lab.client.clone(), namespace);
    let claim = json!({
        "metadata": {"name": CLAIM},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "256Mi"}},
        },
    });
    claims
        .create(&PostParams::default(), &serde_json::from_value(claim)?)
        .await?;
    Ok(())
}

fn backups(bus: &Bus) -> Api<CacheBusBackup> {
    Api::namespaced(bus.client.clone(), bus.names.namespace())
}

async fn ask(bus: &Bus, name: &str, spec: Value) -> anyhow::Result<()> {
    let backup = CacheBusBackup::new(name, serde_json::from_value(spec)?);
    backups(bus).create(&PostParams::default(), &backup).await?;
    Ok(())
}

/// What becomes of a backup.
async fn ended(bus: &Bus, name: &str) -> anyhow::Result<BackupStatus> {
    let has_ended = |backup: Option<&CacheBusBackup>| {
        let status = backup.and_then(|backup| backup.status.as_ref());
        let phase = status.and_then(|status| status.phase);
        matches!(phase, Some(BackupPhase::Succeeded | BackupPhase::Failed))
    };
    let backup = wait::object(&backups(bus), name, "ended", LIMIT, has_ended).await?;
    backup
        .and_then(|backup| backup.status)
        .with_context(|| format!("the backup {name} is gone"))
}

/// Asks for a backup, and waits until it is whole.
async fn made(bus: &Bus, name: &str, spec: Value) -> anyhow::Result<BackupStatus> {
    ask(bus, name, spec).await?;
    let status = ended(bus, name).await?;
    ensure!(
        status.phase == Some(BackupPhase::Succeeded),
        "{name}: {status:?}"
    );
    Ok(status)
}

/// Kills the pod of a backup while it uploads.
async fn interrupted(lab: &Lab, bus: &Bus) -> anyhow::Result<()> {
    slow_down(bus, PAUSE_US).await?;
    ask(bus, "interrupted", json!({"bus": "old"})).await?;
    wait::until("a replica sends its data", LIMIT, || async {
        for ordinal in 0..=bus.spec.replicas {
            let node = bus.root(bus.place(Component::Redis, ordinal)).await?;
            let info = node.info("persistence").await?;
            if info.get("rdb_bgsave_in_progress").map(String::as_str) == Some("1") {
                return Ok(());
            }
        }
        anyhow::bail!("none does")
    })
    .await?;
    let pods: Api<Pod> = Api::namespaced(bus.client.clone(), bus.names.namespace());
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete("interrupted-backup", &at_once).await?;
    let status = ended(bus, "interrupted").await?;
    ensure!(status.phase == Some(BackupPhase::Failed), "{status:?}");
    lab.note(format_args!("interrupted: {:?}", status.reason));
    slow_down(bus, "0").await
}

/// A server pauses for so long before each key that it sends.
async fn slow_down(bus: &Bus, microseconds: &str) -> anyhow::Result<()> {
    for ordinal in 0..=bus.spec.replicas {
        let command = ["CONFIG", "SET", "rdb-key-save-delay", microseconds];
        let place = bus.place(Component::Redis, ordinal);
        bus.on::<()>(&place, &command).await?;
    }
    Ok(())
}

/// A bus that is to begin with the interrupted backup finds none, and does not begin empty.
async fn nothing_there(lab: &Lab, namespace: &str) -> anyhow::Result<()> {
    let source = json!({
        "destination": s3::destination(),
        "path": format!("{namespace}/old/interrupted"),
        "encryption": s3::encryption(),
    });
    let mut spec = keys::spec();
    merge(&mut spec, json!({"bootstrap": {"fromBackup": source}}));
    let bus = Bus::apply(lab, namespace, "half", small(spec)?).await?;
    wait::until("it says that there is no backup", LIMIT, || async {
        let said = crate::bus::conditions(&bus.object().await?);
        ensure!(said.contains("Available=False RestoreFailed"), "{said}");
        ensure!(said.contains("NoBackup"), "{said}");
        Ok(())
    })
    .await?;
    let uids = bus.pods().uids().await?;
    let data = uids.keys().find(|pod| pod.starts_with("half-redis"));
    ensure!(data.is_none(), "{data:?} runs without its data");
    lab.note("nothing can be restored of the interrupted one");
    bus.delete().await
}

async fn digest(bus: &Bus) -> anyhow::Result<(u64, u64)> {
    bus.on_primary(&["EVAL", DIGEST, "0"]).await
}

/// Writes to the primary until it is stopped.
struct Load {
    stop: tokio::sync::oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<i64>>,
}

impl Load {
    async fn start(bus: &Bus) -> anyhow::Result<Self> {
        let bus = bus.clone();
        let mut node: Node = bus.root_of_primary().await?;
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                // Agents end the sessions of users that nobody ordered.
                let Ok(written) = node.call::<i64>(&["EVAL", WRITE, "0"]).await else {
                    node = wait::until("a session", LIMIT, || bus.root_of_primary()).await?;
                    continue;
                };
                let pause = Duration::from_millis(1);
                if timeout(pause, &mut stopped).await.is_ok() {
                    return Ok(written);
                }
            }
        });
        Ok(Self { stop, task })
    }

    /// How many writes were acknowledged.
    async fn stop(self) -> anyhow::Result<i64> {
        // It has ended already where a write failed, which it tells.
        let _ = self.stop.send(());
        self.task.await?
    }
}
