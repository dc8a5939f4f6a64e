//! A real S3 server in the namespace of a scenario, with one bucket, and the Secrets of those who use it.

use std::collections::BTreeMap;
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::{pods, wait};

/// The image, as the lab loads it.
const IMAGE: &str = "localhost/cachebus-e2e-s3:dev";
const NAME: &str = "s3";
const PORT: u16 = 7070;
/// The Secret of those who store.
const CREDENTIALS: &str = "s3-credentials";
/// The Secret of those who encrypt and decrypt.
const KEYS: &str = "backup-keys";
const STARTED: Duration = Duration::from_mins(1);

/// Starts the server, and waits until it is ready.
pub async fn start(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let access: BTreeMap<&str, String> = [
        ("access-key-id", "cachebus-e2e".to_owned()),
        ("secret-access-key", "not much of a secret".to_owned()),
    ]
    .into();
    let identity = age::x25519::Identity::generate();
    let keys: BTreeMap<&str, String> = [
        ("recipients", identity.to_public().to_string()),
        ("identity", identity.to_string().expose_secret().to_owned()),
    ]
    .into();
    secret(client, namespace, CREDENTIALS, access).await?;
    secret(client, namespace, KEYS, keys).await?;

    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    pods.create(&PostParams::default(), &serde_json::from_value(pod())?)
        .await?;
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let service = json!({
        "metadata": {"name": NAME},
        "spec": {"selector": {"app": NAME}, "ports": [{"port": PORT}]},
    });
    services
        .create(&PostParams::default(), &serde_json::from_value(service)?)
        .await?;
    let ready = |pod: Option<&Pod>| pod.is_some_and(pods::is_ready);
    wait::object(&pods, NAME, "ready", STARTED, ready).await?;
    Ok(())
}

/// The bucket, as a bus's spec has it.
pub fn destination() -> Value {
    json!({"s3": {
        "endpoint": format!("http://{NAME}:{PORT}"),
        "bucket": "backups",
        "prefix": "e2e",
        "credentialsSecret": CREDENTIALS,
    }})
}

/// The keys, likewise.
pub fn encryption() -> Value {
    json!({"secretName": KEYS})
}

/// A folder is a bucket: the second volume makes one.
fn pod() -> Value {
    let from = |key: &str| json!({"secretKeyRef": {"name": CREDENTIALS, "key": key}});
    json!({
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": NAME,
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "args": ["--port", format!(":{PORT}"), "posix", "--sidecar", "/meta", "/data"],
                "env": [
                    {"name": "ROOT_ACCESS_KEY_ID", "valueFrom": from("access-key-id")},
                    {"name": "ROOT_SECRET_ACCESS_KEY", "valueFrom": from("secret-access-key")},
                ],
                "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "bucket", "mountPath": "/data/backups"},
                    {"name": "meta", "mountPath": "/meta"},
                ],
            }],
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": "bucket", "emptyDir": {}},
                {"name": "meta", "emptyDir": {}},
            ],
        },
    })
}

async fn secret(
    client: &Client,
    namespace: &str,
    name: &str,
    entries: BTreeMap<&str, String>,
) -> anyhow::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        string_data: Some(
            entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        ),
        ..Secret::default()
    };
    secrets.create(&PostParams::default(), &secret).await?;
    Ok(())
}
