//! Two services that know nothing but their binding Secret.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::image::CLIENT;
use crate::lab::{Lab, until};
use crate::progress::step;

use super::{NAMESPACE, ready};

/// How long until the one hears of what the other wrote.
const LIMIT: Duration = Duration::from_mins(1);

/// A service of the sample's contract and what its pod does.
pub(super) struct Service {
    /// Its name in the contract.
    pub(super) name: &'static str,
    pub(super) pod: &'static str,
    task: &'static str,
    /// What it prints once it works.
    works: &'static str,
}

/// One that writes and publishes, one that receives and reads.
pub(super) const SERVICES: [Service; 2] = [
    Service {
        name: "dashboard",
        pod: "demo-dashboard",
        task: "demo-reader",
        works: "heard ",
    },
    Service {
        name: "workflow_engine",
        pod: "demo-workflow-engine",
        task: "demo-writer",
        works: "wrote ",
    },
];

/// Starts both and waits until each does its work.
pub(super) fn start(lab: &Lab) -> anyhow::Result<()> {
    let bus = ready::bus(lab)?;
    for service in &SERVICES {
        let secret = service.secret(&bus)?;
        step(
            format_args!(
                "starting the service {} with the Secret {secret}",
                service.name
            ),
            || {
                let delete = ["delete", "pod", service.pod, "--ignore-not-found", "--now"];
                lab.kubectl()
                    .args(["--namespace", NAMESPACE])
                    .args(delete)
                    .run()?;
                lab.kubectl()
                    .args(["apply", "--filename", "-"])
                    .input(service.manifest(&secret).to_string())
                    .run()
            },
        )?;
    }
    for service in &SERVICES {
        step(format_args!("waiting for {}", service.name), || {
            service.await_work(lab)
        })?;
    }
    Ok(())
}

impl Service {
    fn secret(&self, bus: &Value) -> anyhow::Result<String> {
        bus["status"]["bindings"]
            .as_array()
            .and_then(|bindings| {
                bindings
                    .iter()
                    .find(|binding| binding["service"] == self.name)
            })
            .and_then(|binding| binding["name"].as_str())
            .map(str::to_owned)
            .with_context(|| format!("the bus names no Secret for {}", self.name))
    }

    /// The last lines that the service printed.
    pub(super) fn log(&self, lab: &Lab, lines: u32) -> anyhow::Result<String> {
        lab.kubectl()
            .args(["--namespace", NAMESPACE, "logs", self.pod])
            .arg(format!("--tail={lines}"))
            .output()
    }

    fn await_work(&self, lab: &Lab) -> anyhow::Result<()> {
        let mut printed = String::new();
        let works = until(LIMIT, || {
            printed = self.log(lab, 20).unwrap_or_default();
            printed.lines().any(|line| line.contains(self.works))
        });
        if works {
            return Ok(());
        }
        bail!(
            "it has not worked within {} s; it printed:\n{printed}",
            LIMIT.as_secs()
        )
    }

    fn manifest(&self, secret: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.pod,
                "namespace": NAMESPACE,
                "labels": {"app.kubernetes.io/part-of": "cachebus-demo"},
            },
            "spec": {
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {
                    "runAsNonRoot": true,
                    "runAsUser": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "service",
                    "image": CLIENT,
                    "imagePullPolicy": "Never",
                    "args": [self.task],
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "binding", "mountPath": "/bindings/bus", "readOnly": true}],
                }],
                "volumes": [{"name": "binding", "secret": {"secretName": secret}}],
            },
        })
    }
}
