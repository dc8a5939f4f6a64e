//! The cluster that the scenarios run on.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::runtime::wait::Condition;
use kube::{Api, Client};

use crate::audit::Audit;
use crate::operator::Operator;
use crate::pods::Pods;
use crate::{run, wait};

/// Label of every namespace that a scenario makes; its value is the scenario.
const SCENARIO_LABEL: &str = "e2e.cachebus.dev/scenario";

/// Time for a namespace and all that is in it to go.
const LEFT: Duration = Duration::from_mins(2);

/// The cluster, as one scenario sees it.
#[derive(Clone)]
pub struct Lab {
    pub client: Client,
    pub operator: Operator,
    /// Whether scenarios run in their long form.
    pub long: bool,
    /// Chooses what scenarios leave out in their short form.
    pub seed: u64,
    /// What the API server is asked from the beginning of the run on.
    pub audit: Audit,
    /// Whether every scenario is part of the run.
    pub whole: bool,
    scenario: &'static str,
    began: Instant,
}

impl Lab {
    /// Of which number on, and how many apart, a scenario takes its cases: all in the long form, else every `stride`-th, beginning
    /// with another by the seed.
    pub fn cases(&self, stride: usize) -> anyhow::Result<(usize, usize)> {
        let stride = if self.long { 1 } else { stride };
        Ok((usize::try_from(self.seed % u64::try_from(stride)?)?, stride))
    }

    /// The cluster of the current kubeconfig, with an operator in it.
    pub async fn connect(long: bool, seed: u64, whole: bool) -> anyhow::Result<Self> {
        let client = Client::try_default()
            .await
            .context("the cluster of the current kubeconfig")?;
        let operator = Operator::find(&client).await?;
        Ok(Self {
            operator,
            long,
            seed,
            audit: Audit::now(&client).await?,
            whole,
            client,
            scenario: "",
            began: Instant::now(),
        })
    }

    /// The same cluster for a scenario that begins now.
    pub fn of(&self, scenario: &'static str) -> Self {
        Self {
            scenario,
            began: Instant::now(),
            ..self.clone()
        }
    }

    /// Prints a line of the scenario, with the seconds since it began.
    pub fn note(&self, line: impl std::fmt::Display) {
        let seconds = self.began.elapsed().as_secs_f64();
        run::print(format_args!(
            "   {:<16} {seconds:6.1} s  {line}",
            self.scenario
        ));
    }

    /// The scenario's namespace, empty and with restricted pod security.
    pub async fn namespace(&self) -> anyhow::Result<String> {
        self.fresh_namespace(&format!("e2e-{}", self.scenario.replace('_', "-")))
            .await
    }

    /// A further namespace of the scenario.
    pub async fn another_namespace(&self, suffix: &str) -> anyhow::Result<String> {
        self.fresh_namespace(&format!("e2e-{}-{suffix}", self.scenario.replace('_', "-")))
            .await
    }

    /// An empty namespace of this name. One that is there is deleted first.
    pub async fn fresh_namespace(&self, name: &str) -> anyhow::Result<String> {
        self.delete_namespace(name).await?;
        let labels = [
            (SCENARIO_LABEL, self.scenario),
            ("pod-security.kubernetes.io/enforce", "restricted"),
        ];
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(
                    labels
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .into(),
                ),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        self.namespaces()
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("creating the namespace {name}"))?;
        Ok(name.to_owned())
    }

    /// Deletes a namespace and waits until it is gone.
    pub async fn delete_namespace(&self, name: &str) -> anyhow::Result<()> {
        let api = self.namespaces();
        if api.get_opt(name).await?.is_none() {
            return Ok(());
        }
        api.delete(name, &DeleteParams::background()).await?;
        wait::object(&api, name, "deleted", LEFT, gone()).await?;
        Ok(())
    }

    /// Deletes what namespaces the scenario made, and waits until none of their pods is left. The namespaces go later: their
    /// controller looks at them now and then.
    pub async fn leave(&self) -> anyhow::Result<()> {
        for name in self.scenario_namespaces().await? {
            self.namespaces()
                .delete(&name, &DeleteParams::background())
                .await?;
            let every_label = "";
            let pods = Pods::new(&self.client, &name, every_label);
            pods.await_none(LEFT).await.with_context(|| name.clone())?;
        }
        Ok(())
    }

    /// Deletes what namespaces the scenario made, and waits until they are gone.
    pub async fn clean_up(&self) -> anyhow::Result<()> {
        for name in self.scenario_namespaces().await? {
            self.delete_namespace(&name).await?;
        }
        Ok(())
    }

    /// Waits until the namespaces of all other scenarios are gone.
    pub async fn await_others_gone(&self) -> anyhow::Result<()> {
        let others = format!("{SCENARIO_LABEL},{SCENARIO_LABEL}!={}", self.scenario);
        wait::until("other scenarios have left", LEFT, || async {
            let left = self.namespaces_with(&others).await?;
            ensure!(left.is_empty(), "left: {left:?}");
            Ok(())
        })
        .await
    }

    /// The namespaces that the scenario made.
    pub async fn scenario_namespaces(&self) -> anyhow::Result<Vec<String>> {
        self.namespaces_with(&format!("{SCENARIO_LABEL}={}", self.scenario))
            .await
    }

    async fn namespaces_with(&self, labels: &str) -> anyhow::Result<Vec<String>> {
        let labels = ListParams::default().labels(labels);
        let found = self.namespaces().list(&labels).await?;
        Ok(found
            .into_iter()
            .filter_map(|namespace| namespace.metadata.name)
            .collect())
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }
}

/// The object is no more.
pub fn gone<K>() -> impl Condition<K> {
    |object: Option<&K>| object.is_none()
}
