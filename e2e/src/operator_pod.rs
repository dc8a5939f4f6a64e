//! An operator that is a pod of its own, so that it can be killed at a point and be looked at afterwards.

use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{EnvVar, Pod};
use kube::Api;
use kube::api::{DeleteParams, LogParams, ObjectMeta, PostParams};

use crate::lab::{Lab, gone};
use crate::wait;

/// The same name each time: it is the identity by which the next one takes the Lease up at once.
const NAME: &str = "e2e-operator";

/// Time for a pod to start or to go.
const LIMIT: Duration = Duration::from_mins(1);

/// A running operator. The installed one has to be stopped.
pub struct OperatorPod {
    pods: Api<Pod>,
}

impl OperatorPod {
    /// Starts one like the installed one, with this argument instead of its own, and this environment besides.
    pub async fn start(
        lab: &Lab,
        argument: Option<&str>,
        env: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let pods = lab.operator.pod_api();
        remove(&pods).await?;
        let (labels, mut spec) = lab.operator.pod_template().await?;
        // One that is to die stays dead, to be looked at. Any other comes back as the installed one does: whoever cannot renew its
        // Lease in time, on a machine at its limit, ends.
        let dies = argument.is_some() || !env.is_empty();
        spec.restart_policy = Some(if dies { "Never" } else { "Always" }.to_owned());
        let container = spec
            .containers
            .first_mut()
            .context("the operator has no container")?;
        if let Some(argument) = argument {
            container.args = Some(vec![argument.to_owned()]);
        }
        container
            .env
            .get_or_insert_default()
            .extend(env.iter().map(|(name, value)| EnvVar {
                name: (*name).to_owned(),
                value: Some((*value).to_owned()),
                ..EnvVar::default()
            }));
        let pod = Pod {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
            ..Pod::default()
        };
        pods.create(&PostParams::default(), &pod)
            .await
            .context("starting an operator")?;
        Ok(Self { pods })
    }

    /// Waits until it has ended, and returns its exit code.
    pub async fn ended(&self, limit: Duration) -> anyhow::Result<i32> {
        let ended = |pod: Option<&Pod>| pod.is_none_or(|pod| exit_code(pod).is_some());
        let pod = wait::object(&self.pods, NAME, "ended", limit, ended).await?;
        pod.as_ref()
            .and_then(exit_code)
            .context("the operator's pod was deleted")
    }

    /// What it printed.
    pub async fn logs(&self) -> anyhow::Result<String> {
        Ok(self.pods.logs(NAME, &LogParams::default()).await?)
    }

    /// What the program prints when it is run with this argument alone.
    pub async fn printed(lab: &Lab, argument: &str) -> anyhow::Result<String> {
        let operator = Self::start(lab, Some(argument), &[]).await?;
        let code = operator.ended(LIMIT).await?;
        let printed = operator.logs().await?;
        operator.remove().await?;
        if code != 0 {
            bail!("`cachebus {argument}` ended with {code}: {printed}");
        }
        Ok(printed)
    }

    /// Ends it.
    pub async fn remove(self) -> anyhow::Result<()> {
        remove(&self.pods).await
    }
}

/// Returns when the process has ended: one that was forced away would act on for a moment, beside the next.
pub async fn remove(pods: &Api<Pod>) -> anyhow::Result<()> {
    if pods.get_opt(NAME).await?.is_some() {
        pods.delete(NAME, &DeleteParams::default()).await?;
        wait::object(pods, NAME, "deleted", LIMIT, gone()).await?;
    }
    Ok(())
}

fn exit_code(pod: &Pod) -> Option<i32> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    Some(
        containers
            .first()?
            .state
            .as_ref()?
            .terminated
            .as_ref()?
            .exit_code,
    )
}
