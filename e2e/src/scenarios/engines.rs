//! The same on every engine that the lab has.

use serde_json::json;

use super::{Scenario, contract, sample};
use crate::bus::Bus;
use crate::lab::Lab;

/// Family and version of each engine; the first is the default, of which `sample` and `contract` prove the same.
const ENGINES: &[(&str, &str)] = &[("Redis", "8.0"), ("Redis", "7.0"), ("Valkey", "9.1")];

/// In the short form every so-many-th service walks; `contract` has all of them do so.
const STRIDE: usize = 2;

pub const SCENARIO: Scenario = Scenario {
    name: "engines",
    proves: "the sample bus becomes Ready as its spec says, how soon, and its contract holds, on Redis 7.0, Redis 8.0 and Valkey 9.1",
    alone: false,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let mut buses = Vec::new();
    // One after another, so that their times mean something.
    for (kind, version) in &ENGINES[usize::from(!lab.long)..] {
        buses.push(one(&lab, &namespace, kind, version).await?);
    }
    let walks = buses.iter().map(|bus| contract::walk(&lab, bus, STRIDE));
    futures::future::try_join_all(walks).await?;
    Ok(())
}

async fn one(lab: &Lab, namespace: &str, kind: &str, version: &str) -> anyhow::Result<Bus> {
    let mut spec = serde_json::to_value(sample::sample()?.spec)?;
    spec["engine"] = json!({"kind": kind, "version": version});
    let spec = serde_json::from_value(spec)?;
    let name = format!("{}-{}", kind.to_lowercase(), version.replace('.', "-"));
    let bus = sample::come_to_life(lab, namespace, &name, spec).await?;
    let status = bus.object().await?.status.unwrap_or_default();
    let reported = status.engine_version.unwrap_or_default();
    anyhow::ensure!(
        reported.starts_with(&format!("{kind} {version}.")),
        "the status says {reported:?}"
    );
    Ok(bus)
}
