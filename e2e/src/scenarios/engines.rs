//! Row 2: the same on every engine that the lab has.

use serde_json::{Value, json};

use super::{Scenario, contract};
use crate::agreement;
use crate::bus::{Bus, small};
use crate::lab::Lab;

/// Family and version of each engine.
const ENGINES: &[(&str, &str)] = &[("Redis", "7.0"), ("Redis", "8.0"), ("Valkey", "9.1")];

pub const SCENARIO: Scenario = Scenario {
    name: "engines",
    proves: "a bus becomes Ready as its spec says, and its contract holds, on Redis 7.0, Redis 8.0 and Valkey 9.1 (issue 2)",
    alone: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let each = ENGINES
        .iter()
        .map(|(kind, version)| one(&lab, &namespace, kind, version));
    futures::future::try_join_all(each).await?;
    Ok(())
}

async fn one(lab: &Lab, namespace: &str, kind: &str, version: &str) -> anyhow::Result<()> {
    let name = format!("{}-{}", kind.to_lowercase(), version.replace('.', "-"));
    let bus = Bus::ready(lab, namespace, &name, small(spec(kind, version))?).await?;
    let primary = agreement::check(&bus).await?;
    let status = bus.object().await?.status.unwrap_or_default();
    let reported = status.engine_version.unwrap_or_default();
    anyhow::ensure!(
        reported.starts_with(&format!("{kind} {version}.")),
        "the status says {reported:?}"
    );
    lab.note(format_args!("{reported}: Ready, all agree on {primary}"));
    contract::walk(lab, &bus).await
}

/// A contract with each kind of right.
fn spec(kind: &str, version: &str) -> Value {
    json!({
        "engine": {"kind": kind, "version": version},
        "cache": {"keyspaces": [
            {"name": "task", "key": "task:{id}", "ttl": "15m"},
            {"name": "task_result", "key": "task:result:{id}", "ttl": "1h"},
            {"name": "lock", "key": "lock:{resource}", "ttl": "30s", "kind": "Lock"},
        ]},
        "events": {"channels": [
            {"name": "task", "events": ["started", "completed"], "durable": true},
            {"name": "ws", "events": ["message"]},
        ]},
        "services": [
            {"name": "worker", "cache": {"read": ["task"], "write": ["task_result", "lock"]}, "publish": ["task:completed"], "subscribe": ["task:started"]},
            {"name": "gateway", "cache": {"write": ["task"]}, "publish": ["ws", "task:started"], "subscribe": ["ws", "task"]},
        ],
    })
}
