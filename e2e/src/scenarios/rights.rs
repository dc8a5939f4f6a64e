//! The operator's roles give it what it asks for, and nothing else.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_core::rbac::{CLUSTER_RULES, LEADER_RULES, RULES};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::Scenario;
use crate::audit::Right;
use crate::bus::{Bus, small};
use crate::lab::Lab;
use crate::wait;

/// Time for the operator to answer what is done to a bus.
const LIMIT: Duration = Duration::from_secs(30);

/// What is granted and never asked for: admission demands it of whoever names an owner.
const ADMISSION: &str = "cachebuses/finalizers";

/// Granted for the schedule of backups and what it keeps, for which no scenario waits. That they are asked for, the operator's
/// unit tests show.
fn is_of_schedule(right: &Right) -> bool {
    ["create", "delete"]
        .iter()
        .any(|verb| *right == Right::new(verb, "cachebus.dev", "cachebusbackups"))
}

pub const SCENARIO: Scenario = Scenario {
    name: "rights",
    proves: "what the operator asked of the API server in the whole run is what its roles grant: nothing besides, and nothing granted that it never asked for",
    alone: true,
    by_turns: false,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    lab.operator.stop().await?;
    let lease = lab.operator.deployment.clone();
    let leases = lab.operator.leases();
    leases.delete(&lease, &DeleteParams::default()).await?;
    lab.operator.start().await?;
    Box::pin(rare(&lab, &namespace)).await?;

    let asked = lab.audit.rights(&lab.operator.user().await?).await?;
    let granted: Vec<Right> = RULES
        .iter()
        .chain(CLUSTER_RULES)
        .chain(LEADER_RULES)
        .filter(|rule| rule.resource != ADMISSION)
        .flat_map(|rule| {
            let verbs = rule.verbs.iter();
            verbs.map(|verb| Right::new(verb, rule.group, rule.resource))
        })
        .collect();
    let besides: Vec<_> = asked
        .iter()
        .filter(|right| !granted.contains(right))
        .collect();
    ensure!(besides.is_empty(), "asked for and not granted: {besides:?}");
    let unused: Vec<_> = granted
        .iter()
        .filter(|right| !asked.contains(right) && !is_of_schedule(right))
        .collect();
    lab.note(format_args!(
        "{} rights granted, {} asked for",
        granted.len(),
        asked.len()
    ));
    if lab.whole {
        ensure!(unused.is_empty(), "granted and never asked for: {unused:?}");
    } else {
        lab.note(format_args!(
            "of a part of the scenarios alone; not asked for in them: {unused:?}"
        ));
    }
    Ok(())
}

/// Has the operator do what it seldom does: ask for a Secret that its watch does not show.
async fn rare(lab: &Lab, namespace: &str) -> anyhow::Result<()> {
    let spec = small(json!({
        "cache": {"keyspaces": [{"name": "agent", "key": "agent:{id}", "ttl": "1h"}]},
        "services": [{"name": "writer", "cache": {"write": ["agent"]}}],
    }))?;
    let bus = Bus::ready(lab, namespace, "bus", spec).await?;
    let secrets: Api<Secret> = Api::namespaced(lab.client.clone(), namespace);
    let binding = bus.names.binding("writer");
    let unlabelled = Patch::Merge(json!({"metadata": {"labels": null}}));
    secrets
        .patch(&binding, &PatchParams::default(), &unlabelled)
        .await
        .with_context(|| format!("taking the labels of {binding}"))?;
    let labelled = |secret: Option<&Secret>| {
        let labels = secret.and_then(|secret| secret.metadata.labels.as_ref());
        labels.is_some_and(|labels| !labels.is_empty())
    };
    wait::object(&secrets, &binding, "labelled again", LIMIT, labelled).await?;
    Ok(())
}
