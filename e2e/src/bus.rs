//! A bus under test.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_api::settings::TlsMode;
use cachebus_api::{CacheBus, CacheBusSpec};
use cachebus_core::names::{BUS_LABEL, COMPONENT_LABEL, Component, Names, master_name};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use redis::FromRedisValue;
use serde_json::{Value, json};

use crate::access::Access;
use crate::agreement;
use crate::lab::{Lab, gone};
use crate::nodes::{Node, OPERATOR, Place};
use crate::pods::Pods;
use crate::wait;

/// DNS domain of the lab's cluster.
pub const DOMAIN: &str = "cluster.local";

/// Time for a small bus to become ready on a busy machine.
pub const READY: Duration = Duration::from_mins(2);

/// Time for a command of a user that agents do not know.
const DONE: Duration = Duration::from_secs(20);

/// A bus under test.
#[derive(Clone)]
pub struct Bus {
    pub client: Client,
    pub names: Names,
    pub spec: CacheBusSpec,
}

/// The spec of a small bus, with `changes` merged in.
pub fn small(changes: Value) -> anyhow::Result<CacheBusSpec> {
    let mut spec = json!({
        "replicas": 2,
        "memory": {"max": "64Mi"},
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"memory": "160Mi"},
        },
        "storage": {"size": "64Mi", "reclaim": "Delete"},
        "replication": {"backlogSize": "4Mi"},
        "sentinel": {
            "storageSize": "16Mi",
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        },
    });
    merge(&mut spec, changes);
    serde_json::from_value(spec).context("the scenario's own spec")
}

/// JSON merge patch, RFC 7396.
pub fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, change) in changes {
                if change.is_null() {
                    into.remove(&name);
                } else {
                    merge(into.entry(name).or_insert(Value::Null), change);
                }
            }
        }
        (into, changes) => *into = changes,
    }
}

impl Bus {
    /// Applies a bus.
    pub async fn apply(
        lab: &Lab,
        namespace: &str,
        name: &str,
        spec: CacheBusSpec,
    ) -> anyhow::Result<Self> {
        let bus = Self {
            client: lab.client.clone(),
            names: Names::new(name, namespace, DOMAIN),
            spec,
        };
        bus.send().await?;
        Ok(bus)
    }

    /// Applies a bus and waits until it is ready.
    pub async fn ready(
        lab: &Lab,
        namespace: &str,
        name: &str,
        spec: CacheBusSpec,
    ) -> anyhow::Result<Self> {
        let bus = Self::apply(lab, namespace, name, spec).await?;
        bus.await_ready(READY).await?;
        Ok(bus)
    }

    /// Applies the spec as it is now.
    pub async fn send(&self) -> anyhow::Result<()> {
        let object = CacheBus::new(self.names.bus(), self.spec.clone());
        self.api()
            .patch(
                self.names.bus(),
                &PatchParams::apply("e2e").force(),
                &Patch::Apply(&object),
            )
            .await
            .with_context(|| format!("applying the bus {}", self.names.bus()))?;
        Ok(())
    }

    /// Waits until the operator has seen the spec as it is and reports `Ready`.
    pub async fn await_ready(&self, limit: Duration) -> anyhow::Result<()> {
        let ready = |bus: Option<&CacheBus>| bus.is_some_and(is_ready);
        let waited = wait::object(&self.api(), self.names.bus(), "Ready", limit, ready).await;
        if let Err(error) = waited {
            let said = self.object().await.map(|bus| conditions(&bus));
            return Err(error.context(said.unwrap_or_default()));
        }
        Ok(())
    }

    /// The object as the API server has it.
    pub async fn object(&self) -> anyhow::Result<CacheBus> {
        Ok(self.api().get(self.names.bus()).await?)
    }

    /// The pod that the status names the primary.
    pub async fn primary(&self) -> anyhow::Result<String> {
        self.object()
            .await?
            .status
            .and_then(|status| status.topology?.primary)
            .context("the status names no primary")
    }

    /// Fails unless the operator still carries out a change of the spec.
    pub async fn still_reconciled(&self) -> anyhow::Result<()> {
        let mut changed = self.clone();
        changed.spec.connections.max_clients += 1;
        changed.send().await?;
        changed.await_ready(READY).await?;
        agreement::settings(&changed).await
    }

    /// Deletes the bus and waits until its pods are gone.
    pub async fn delete(&self) -> anyhow::Result<()> {
        self.api()
            .delete(self.names.bus(), &DeleteParams::background())
            .await?;
        wait::object(&self.api(), self.names.bus(), "deleted", READY, gone()).await?;
        self.pods().await_none(READY).await
    }

    /// The name by which its Sentinels know the primary.
    pub async fn master_name(&self) -> anyhow::Result<String> {
        let uid = self.object().await?.uid().context("the bus has no UID")?;
        Ok(master_name(self.names.bus(), &uid))
    }

    /// What it takes to speak to the nodes.
    pub async fn access(&self) -> anyhow::Result<Access> {
        Access::read(&self.client, &self.names).await
    }

    /// Where each data pod listens.
    pub fn data_places(&self) -> Vec<Place> {
        (0..=self.spec.replicas)
            .map(|ordinal| self.place(Component::Redis, ordinal))
            .collect()
    }

    /// Where each Sentinel listens.
    pub fn sentinel_places(&self) -> Vec<Place> {
        (0..self.spec.sentinel.replicas)
            .map(|ordinal| self.place(Component::Sentinel, ordinal))
            .collect()
    }

    /// Where a pod listens.
    pub fn place(&self, component: Component, ordinal: u32) -> Place {
        Place {
            component,
            pod: self.names.pod(component, ordinal),
            port: match component {
                Component::Redis => self.spec.port,
                Component::Sentinel => self.spec.sentinel.port,
            },
            tls: self.spec.tls.mode != TlsMode::Disabled,
        }
    }

    /// A session with each data pod.
    pub async fn data_nodes(&self) -> anyhow::Result<Vec<Node>> {
        self.sessions(self.data_places()).await
    }

    /// A session with each Sentinel.
    pub async fn sentinel_nodes(&self) -> anyhow::Result<Vec<Node>> {
        self.sessions(self.sentinel_places()).await
    }

    /// Runs a command on the primary as a user who may do everything; again where that fails: agents take this user away, and
    /// end its session, whenever they compare users.
    pub async fn on_primary<T: FromRedisValue>(&self, command: &[&str]) -> anyhow::Result<T> {
        wait::until("a command on the primary", DONE, || async {
            self.root_of_primary().await?.call(command).await
        })
        .await
    }

    /// The same on a server or a Sentinel.
    pub async fn on<T: FromRedisValue>(
        &self,
        place: &Place,
        command: &[&str],
    ) -> anyhow::Result<T> {
        wait::until("a command on a server", DONE, || async {
            self.root(place.clone()).await?.call(command).await
        })
        .await
    }

    /// A session with the primary, as a user who may do everything.
    pub async fn root_of_primary(&self) -> anyhow::Result<Node> {
        let primary = self.primary().await?;
        let place = self
            .data_places()
            .into_iter()
            .find(|place| place.pod == primary)
            .with_context(|| format!("{primary} is no pod of the bus"))?;
        self.root(place).await
    }

    /// A session with a server or a Sentinel, as a user who may do everything.
    pub async fn root(&self, place: Place) -> anyhow::Result<Node> {
        Node::open_root(&self.client, &self.access().await?, &place).await
    }

    async fn sessions(&self, places: Vec<Place>) -> anyhow::Result<Vec<Node>> {
        let access = self.access().await?;
        let open = places
            .iter()
            .map(|place| Node::open(&self.client, &access, place, OPERATOR));
        futures::future::try_join_all(open).await
    }

    /// All its pods.
    pub fn pods(&self) -> Pods {
        let selector = format!("{BUS_LABEL}={}", self.names.bus());
        Pods::new(&self.client, self.names.namespace(), &selector)
    }

    /// Fails unless no credential differs from `before`.
    pub async fn same_passwords(&self, before: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let now = self.access().await?.passwords;
        let changed: Vec<_> = before
            .iter()
            .filter(|(user, password)| now.get(*user) != Some(password))
            .map(|(user, _)| user)
            .collect();
        ensure!(
            changed.is_empty(),
            "another password than before: {changed:?}"
        );
        Ok(())
    }

    /// Has a pod come back with an empty volume: its claim goes when the pod does, and the `StatefulSet` makes another.
    pub async fn drop_volume(&self, pod: &str) -> anyhow::Result<()> {
        let claims: Api<PersistentVolumeClaim> =
            Api::namespaced(self.client.clone(), self.names.namespace());
        let claim = format!("data-{pod}");
        claims
            .delete(&claim, &DeleteParams::default())
            .await
            .with_context(|| format!("deleting the claim {claim}"))?;
        Ok(())
    }

    /// The pods of one component.
    pub fn pods_of(&self, component: Component) -> Pods {
        let own = format!(
            "{BUS_LABEL}={},{COMPONENT_LABEL}={component}",
            self.names.bus()
        );
        Pods::new(&self.client, self.names.namespace(), &own)
    }

    /// Kills these pods, all at once, and waits until others of their names are ready; `empty`: with empty volumes.
    pub async fn renew<P: AsRef<str>>(&self, killed: &[P], empty: bool) -> anyhow::Result<()> {
        let pods = self.pods();
        let mut uids = pods.uids().await?;
        uids.retain(|pod, _| killed.iter().any(|killed| killed.as_ref() == pod));
        if empty {
            for pod in killed {
                self.drop_volume(pod.as_ref()).await?;
            }
        }
        for pod in killed {
            pods.kill_one(pod.as_ref()).await?;
        }
        pods.await_replaced(&uids, READY).await
    }

    /// Asks the operator for something by an annotation.
    pub async fn ask(&self, annotation: &str, what: &str) -> anyhow::Result<()> {
        let asked = Patch::Merge(json!({"metadata": {"annotations": {annotation: what}}}));
        self.api()
            .patch(self.names.bus(), &PatchParams::default(), &asked)
            .await
            .with_context(|| format!("asking by {annotation}"))?;
        Ok(())
    }

    /// The API of buses in its namespace.
    pub fn api(&self) -> Api<CacheBus> {
        Api::namespaced(self.client.clone(), self.names.namespace())
    }
}

/// The operator reports `Ready` of the spec as it is.
pub fn is_ready(bus: &CacheBus) -> bool {
    let seen = bus
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    seen == bus.metadata.generation && condition_status(bus, "Ready") == Some("True")
}

/// The status of a condition.
pub fn condition_status<'a>(bus: &'a CacheBus, condition: &str) -> Option<&'a str> {
    let conditions = &bus.status.as_ref()?.conditions;
    let found = conditions.iter().find(|found| found.type_ == condition)?;
    Some(&found.status)
}

/// All conditions in one line.
pub fn conditions(bus: &CacheBus) -> String {
    let Some(status) = &bus.status else {
        return "the bus has no status".to_owned();
    };
    status
        .conditions
        .iter()
        .map(|condition| {
            format!(
                "{}={} {}: {}",
                condition.type_, condition.status, condition.reason, condition.message
            )
        })
        .collect::<Vec<_>>()
        .join("; ")
}
