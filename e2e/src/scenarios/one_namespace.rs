//! An operator that serves one namespace, with rights in that one alone.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::process::Command;

use super::Scenario;
use crate::agreement;
use crate::bus::{Bus, small};
use crate::lab::Lab;

const RELEASE: &str = "scoped";

const CHART: &str = "charts/cachebus";

/// Time for a bus to become Ready.
const READY: Duration = Duration::from_mins(3);

pub const SCENARIO: Scenario = Scenario {
    name: "one_namespace",
    proves: "a release of the chart that serves one namespace needs no cluster-wide right, brings a bus to life there, passes its `helm test`, and leaves other namespaces alone",
    alone: true,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let served = lab.namespace().await?;
    let other = lab.another_namespace("other").await?;
    let values = values(&lab, &served).await?;
    lab.operator.stop().await?;
    let result = scoped(&lab, &served, &other, &values).await;
    let removed = helm(&["uninstall", RELEASE, "--namespace", &served, "--wait"]).await;
    lab.operator.start().await?;
    result?;
    removed.map(drop)
}

async fn scoped(lab: &Lab, served: &str, other: &str, values: &Value) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("cachebus-{RELEASE}-values.json"));
    tokio::fs::write(&folder, values.to_string()).await?;
    let file = folder.to_str().context("a path in UTF-8")?;
    helm(&[
        "install",
        RELEASE,
        CHART,
        "--namespace",
        served,
        "--wait",
        "--timeout",
        "2m",
        "--values",
        file,
    ])
    .await?;
    nothing_cluster_wide(lab).await?;
    helm(&["test", RELEASE, "--namespace", served, "--timeout", "1m"]).await?;
    lab.note("installed without a cluster-wide right; its helm test passes");

    let ignored = Bus::apply(lab, other, "bus", small(json!({"replicas": 0}))?).await?;
    let bus = Bus::apply(lab, served, "bus", small(json!({"replicas": 1}))?).await?;
    bus.await_ready(READY).await?;
    agreement::check(&bus).await?;
    ensure!(
        ignored.object().await?.status.is_none() && ignored.pods().list().await?.is_empty(),
        "a bus in another namespace was served"
    );
    lab.note("the bus of its namespace is Ready, the other one is left alone");
    bus.delete().await
}

/// The values of the installed release, and the namespace to serve.
async fn values(lab: &Lab, served: &str) -> anyhow::Result<Value> {
    let namespace = lab.operator.namespace.as_str();
    let printed = helm(&[
        "get",
        "values",
        &lab.operator.deployment,
        "--namespace",
        namespace,
        "--output",
        "json",
    ])
    .await?;
    let mut values: Value = serde_json::from_str(&printed).context("values of the release")?;
    values["watchNamespaces"] = json!([served]);
    values["replicaCount"] = json!(1);
    Ok(values)
}

async fn nothing_cluster_wide(lab: &Lab) -> anyhow::Result<()> {
    let own = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
    let roles = Api::<ClusterRole>::all(lab.client.clone())
        .list(&own)
        .await?;
    let bindings = Api::<ClusterRoleBinding>::all(lab.client.clone())
        .list(&own)
        .await?;
    ensure!(
        roles.items.is_empty() && bindings.items.is_empty(),
        "the release has cluster-wide rights"
    );
    Ok(())
}

async fn helm(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("helm")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .context("helm, which the lab brings along: `cargo xtask lab env`")?;
    ensure!(
        output.status.success(),
        "helm {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
