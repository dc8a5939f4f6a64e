//! Pods of clients. All they know of a bus is the mounted binding Secret.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, LogParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::pods::exec;
use crate::wait;

/// The image of the client in Rust, as the lab loads it.
const IMAGE: &str = "localhost/cachebus-e2e-client:dev";

/// What a pod of a client is made of.
pub struct Program<'a> {
    /// Its image.
    pub image: &'a str,
    /// The program, where it is not the image's own.
    pub command: &'a [&'a str],
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// A file that is put before it in `/input`, and its text.
    pub input: Option<(&'a str, String)>,
    /// Node that it keeps off.
    pub apart_from: Option<&'a str>,
    /// Whether kubelet starts it again when it ends.
    pub restarted: bool,
}

impl<'a> Program<'a> {
    /// The client in Rust.
    pub fn rust(arguments: &'a [&'a str]) -> Self {
        Self {
            image: IMAGE,
            command: &[],
            arguments,
            input: None,
            apart_from: None,
            restarted: false,
        }
    }
}

/// A running client.
pub struct ClientPod {
    pods: Api<Pod>,
    name: String,
}

impl ClientPod {
    /// Starts a client with the binding Secret `binding`. `input` is put before it as `/input/cells.json`.
    pub async fn start(
        client: &Client,
        namespace: &str,
        name: &str,
        binding: &str,
        command: &[&str],
        input: Option<String>,
    ) -> anyhow::Result<Self> {
        let program = Program {
            input: input.map(|input| ("cells.json", input)),
            ..Program::rust(command)
        };
        Self::run(client, namespace, name, binding, program).await
    }

    /// Starts any client with the binding Secret `binding`. It may leave things in `/history` while it runs.
    pub async fn run(
        client: &Client,
        namespace: &str,
        name: &str,
        binding: &str,
        program: Program<'_>,
    ) -> anyhow::Result<Self> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let name = format!("client-{name}");
        remove(&pods, &name).await?;
        // What is there but not yet seen by kubelet must be waited for: taken as optional it is mounted empty.
        let nothing_put = program.input.is_none();
        if let Some((file, input)) = program.input {
            put_input(client, namespace, &name, file, input).await?;
        }
        let apart = program.apart_from.map(|node| {
            let elsewhere =
                json!({"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [node]});
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [elsewhere]}],
            }}})
        });
        let pod = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "cachebus-e2e-client"}},
            "spec": {
                "restartPolicy": if program.restarted { "Always" } else { "Never" },
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 0,
                "affinity": apart,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "client",
                    "image": program.image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": program.command,
                    "args": program.arguments,
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [
                        {"name": "binding", "mountPath": "/bindings/bus", "readOnly": true},
                        {"name": "input", "mountPath": "/input", "readOnly": true},
                        {"name": "history", "mountPath": "/history"},
                    ],
                }],
                "volumes": [
                    {"name": "binding", "secret": {"secretName": binding}},
                    {"name": "input", "configMap": {"name": name, "optional": nothing_put}},
                    {"name": "history", "emptyDir": {}},
                ],
            },
        }))?;
        pods.create(&PostParams::default(), &pod)
            .await
            .with_context(|| format!("creating {name}"))?;
        Ok(Self { pods, name })
    }

    /// Waits until the client ends; its lines, where it ended well. The pod is removed.
    pub async fn output(self, limit: Duration) -> anyhow::Result<String> {
        let ended =
            |pod: Option<&Pod>| pod.is_none_or(|pod| matches!(phase(pod), "Succeeded" | "Failed"));
        let pod = wait::object(&self.pods, &self.name, "ended", limit, ended)
            .await?
            .with_context(|| format!("{} was deleted", self.name))?;
        let lines = self.lines().await?;
        if phase(&pod) == "Failed" {
            bail!("{} failed: {lines}", self.name);
        }
        remove(&self.pods, &self.name).await?;
        Ok(lines)
    }

    /// The same, of a client that ends with one line of JSON.
    pub async fn answer<T: DeserializeOwned>(self, limit: Duration) -> anyhow::Result<T> {
        let lines = self.output(limit).await?;
        let last = lines.lines().last().context("the client said nothing")?;
        serde_json::from_str(last).with_context(|| format!("the client said {last}"))
    }

    /// Runs a command beside it and returns what that printed.
    pub async fn exec(&self, command: &[&str]) -> anyhow::Result<String> {
        exec(&self.pods, &self.name, "client", command).await
    }

    /// Removes it.
    pub async fn end(self) -> anyhow::Result<()> {
        remove(&self.pods, &self.name).await
    }

    /// The pod as the API server has it.
    pub async fn object(&self) -> anyhow::Result<Pod> {
        Ok(self.pods.get(&self.name).await?)
    }

    /// What it has said so far, since it was last started.
    pub async fn lines(&self) -> anyhow::Result<String> {
        Ok(self.pods.logs(&self.name, &LogParams::default()).await?)
    }

    /// What it had said before it was last started again.
    pub async fn former_lines(&self) -> anyhow::Result<String> {
        let former = LogParams {
            previous: true,
            ..LogParams::default()
        };
        Ok(self.pods.logs(&self.name, &former).await?)
    }

    /// Waits until it has said a line with this text.
    pub async fn await_line(&self, text: &str, limit: Duration) -> anyhow::Result<()> {
        wait::until(&format!("the client says {text:?}"), limit, || async {
            let lines = self.lines().await?;
            anyhow::ensure!(lines.contains(text), "it said: {lines}");
            Ok(())
        })
        .await
    }
}

async fn remove(pods: &Api<Pod>, name: &str) -> anyhow::Result<()> {
    if pods.get_opt(name).await?.is_some() {
        pods.delete(name, &DeleteParams::default().grace_period(0))
            .await?;
        wait::object(
            pods,
            name,
            "deleted",
            Duration::from_mins(1),
            crate::lab::gone(),
        )
        .await?;
    }
    Ok(())
}

async fn put_input(
    client: &Client,
    namespace: &str,
    name: &str,
    file: &str,
    input: String,
) -> anyhow::Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    if maps.get_opt(name).await?.is_some() {
        maps.delete(name, &DeleteParams::default()).await?;
    }
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(file.to_owned(), input)])),
        ..ConfigMap::default()
    };
    maps.create(&PostParams::default(), &map).await?;
    Ok(())
}

fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}
