//! A set of pods, by label.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, DeleteParams, ListParams, LogParams};
use kube::{Api, Client, ResourceExt as _};
use tokio::io::AsyncReadExt as _;

use crate::wait;

/// A set of pods.
#[derive(Clone)]
pub struct Pods {
    api: Api<Pod>,
    selector: String,
}

impl Pods {
    /// The pods of `namespace` with these labels.
    pub fn new(client: &Client, namespace: &str, selector: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            selector: selector.to_owned(),
        }
    }

    /// Those that there are.
    pub async fn list(&self) -> anyhow::Result<Vec<Pod>> {
        let own = ListParams::default().labels(&self.selector);
        Ok(self.api.list(&own).await?.items)
    }

    /// The UID of each, by name.
    pub async fn uids(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let pods = self.list().await?;
        Ok(pods
            .into_iter()
            .filter_map(|pod| Some((pod.metadata.name?, pod.metadata.uid?)))
            .collect())
    }

    /// Deletes all of them at once by force. Kubelet still asks their processes to end, and gives them a second or two.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let own = ListParams::default().labels(&self.selector);
        self.api
            .delete_collection(&DeleteParams::default().grace_period(0), &own)
            .await?;
        Ok(())
    }

    /// Deletes one by force.
    pub async fn kill_one(&self, name: &str) -> anyhow::Result<()> {
        self.api
            .delete(name, &DeleteParams::default().grace_period(0))
            .await
            .with_context(|| format!("killing {name}"))?;
        Ok(())
    }

    /// Has one end in order.
    pub async fn delete_one(&self, name: &str) -> anyhow::Result<()> {
        self.api
            .delete(name, &DeleteParams::default())
            .await
            .with_context(|| format!("deleting {name}"))?;
        Ok(())
    }

    /// Waits until none is left.
    pub async fn await_none(&self, limit: Duration) -> anyhow::Result<()> {
        wait::until("no pod is left", limit, || async {
            let left = self.uids().await?;
            ensure!(left.is_empty(), "left: {:?}", left.keys());
            Ok(())
        })
        .await
    }

    /// Waits until each pod of `before` is another pod of the same name, and ready.
    pub async fn await_replaced(
        &self,
        before: &BTreeMap<String, String>,
        limit: Duration,
    ) -> anyhow::Result<()> {
        wait::until("the pods are replaced and ready", limit, || async {
            let pods = self.list().await?;
            for (name, old) in before {
                let pod = pods
                    .iter()
                    .find(|pod| pod.name_any() == *name)
                    .with_context(|| format!("{name} is not there"))?;
                ensure!(
                    pod.uid().as_ref() != Some(old),
                    "{name} is still the old one"
                );
                ensure!(is_ready(pod), "{name} is not ready");
            }
            Ok(())
        })
        .await
    }

    /// Runs a command in a pod's container and returns what it printed.
    pub async fn exec(
        &self,
        pod: &str,
        container: &str,
        command: &[&str],
    ) -> anyhow::Result<String> {
        exec(&self.api, pod, container, command).await
    }

    /// What a container has logged.
    pub async fn logs(
        &self,
        pod: &str,
        container: &str,
        tail: Option<i64>,
    ) -> anyhow::Result<String> {
        let wanted = LogParams {
            container: Some(container.to_owned()),
            tail_lines: tail,
            ..LogParams::default()
        };
        self.api
            .logs(pod, &wanted)
            .await
            .with_context(|| format!("logs of {pod}"))
    }
}

/// Runs a command in a pod's container and returns what it printed.
pub async fn exec(
    api: &Api<Pod>,
    pod: &str,
    container: &str,
    command: &[&str],
) -> anyhow::Result<String> {
    let streams = AttachParams::default().container(container).stdin(false);
    let mut process = api
        .exec(pod, command.iter().copied(), &streams)
        .await
        .with_context(|| format!("{command:?} in {pod}"))?;
    let mut printed = String::new();
    let mut errors = String::new();
    let status = process
        .take_status()
        .context("the status was taken already")?;
    if let Some(mut stdout) = process.stdout() {
        stdout.read_to_string(&mut printed).await?;
    }
    if let Some(mut stderr) = process.stderr() {
        stderr.read_to_string(&mut errors).await?;
    }
    let status = status.await.context("the command told no status")?;
    ensure!(
        status.status.as_deref() == Some("Success"),
        "{command:?} in {pod}: {} {errors}",
        status.message.unwrap_or_default()
    );
    Ok(printed)
}

/// The condition `Ready` holds.
pub fn is_ready(pod: &Pod) -> bool {
    pod.status
        .as_ref()
        .and_then(|status| status.conditions.as_ref())
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
        })
}

/// Restarts of its containers so far.
pub fn restarts(pod: &Pod) -> i32 {
    let containers = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    containers
        .into_iter()
        .flatten()
        .map(|container| container.restart_count)
        .sum()
}
