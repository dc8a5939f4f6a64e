//! The installed operator: found by its labels, stopped and started again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use crate::operator_pod;
use crate::pods::{Pods, restarts};
use crate::wait;

/// Labels of the operator's pods, whatever the release is called.
const SELECTOR: &str = "app.kubernetes.io/name=cachebus,app.kubernetes.io/component=operator";

/// Time for a stopped operator to be gone, and for a started one to be ready.
const LIMIT: Duration = Duration::from_secs(90);

/// The installed operator.
#[derive(Clone)]
pub struct Operator {
    client: Client,
    pub namespace: String,
    pub deployment: String,
    pub replicas: i32,
}

impl Operator {
    /// Finds the one operator of the cluster.
    pub async fn find(client: &Client) -> anyhow::Result<Self> {
        let api: Api<Deployment> = Api::all(client.clone());
        let found = api.list(&ListParams::default().labels(SELECTOR)).await?;
        let deployment = found
            .items
            .first()
            .context("no operator is installed: `cargo xtask install`, or the chart")?;
        Ok(Self {
            client: client.clone(),
            namespace: deployment
                .namespace()
                .context("a Deployment has a namespace")?,
            deployment: deployment.name_any(),
            replicas: deployment
                .spec
                .as_ref()
                .and_then(|spec| spec.replicas)
                .filter(|replicas| *replicas > 0)
                .unwrap_or(2),
        })
    }

    /// Ends every operator pod and keeps them from coming back.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.scale(0).await?;
        // One that a scenario left when it failed, perhaps in an earlier run.
        operator_pod::remove(&self.pod_api()).await?;
        self.pods().await_none(LIMIT).await
    }

    /// Brings the operator back as it was installed.
    pub async fn start(&self) -> anyhow::Result<()> {
        operator_pod::remove(&self.pod_api()).await?;
        self.scale(self.replicas).await?;
        self.await_ready().await
    }

    /// Waits until every operator pod is ready.
    pub async fn await_ready(&self) -> anyhow::Result<()> {
        let wanted = self.replicas;
        let ready = move |deployment: Option<&Deployment>| {
            deployment
                .and_then(|deployment| deployment.status.as_ref())
                .is_some_and(|status| status.ready_replicas == Some(wanted))
        };
        wait::object(
            &self.deployments(),
            &self.deployment,
            "all replicas ready",
            LIMIT,
            ready,
        )
        .await?;
        Ok(())
    }

    /// The operator's pods.
    pub fn pods(&self) -> Pods {
        Pods::new(&self.client, &self.namespace, SELECTOR)
    }

    /// Restarts of all operator containers so far.
    pub async fn restarts(&self) -> anyhow::Result<i32> {
        Ok(self.pods().list().await?.iter().map(restarts).sum())
    }

    /// Labels and spec of the pods that the Deployment makes, as a template for one that is not the Deployment's.
    pub async fn pod_template(&self) -> anyhow::Result<(BTreeMap<String, String>, PodSpec)> {
        let deployment = self.deployments().get(&self.deployment).await?;
        let template = deployment
            .spec
            .context("the operator's Deployment has no spec")?
            .template;
        let labels = template.metadata.and_then(|metadata| metadata.labels);
        let spec = template
            .spec
            .context("the operator's Deployment has no pod template")?;
        Ok((labels.unwrap_or_default(), spec))
    }

    /// The namespaced API of pods where the operator runs.
    pub fn pod_api(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The pod that leads. `None`: none, for the moment.
    pub async fn leader(&self) -> anyhow::Result<Option<String>> {
        let lease = self.leases().get_opt(&self.deployment).await?;
        let holder = lease.and_then(|lease| lease.spec?.holder_identity);
        Ok(holder.filter(|holder| !holder.is_empty()))
    }

    /// The API of Leases where the operator runs; its own bears the name of its Deployment.
    pub fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The user name by which the API server knows the operator.
    pub async fn user(&self) -> anyhow::Result<String> {
        let (_, spec) = self.pod_template().await?;
        let account = spec
            .service_account_name
            .unwrap_or_else(|| "default".to_owned());
        Ok(format!(
            "system:serviceaccount:{}:{account}",
            self.namespace
        ))
    }

    async fn scale(&self, replicas: i32) -> anyhow::Result<()> {
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.deployments()
            .patch_scale(&self.deployment, &PatchParams::default(), &scale)
            .await?;
        Ok(())
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}
