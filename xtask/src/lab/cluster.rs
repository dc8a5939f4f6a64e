//! The kind cluster: one control plane, workers in different zones.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::command::Cmd;
use crate::progress::{note, step};

use super::docker::docker;
use super::home::Home;
use super::source::Source;
use super::{Lab, NAME, WORKERS, network, node_image, versions, wait};

const AUDIT_POLICY: &str = include_str!("../../lab/audit-policy.yaml");

/// Where the control plane's API server writes what it was asked, as JSON lines.
pub const AUDIT_LOG: &str = "/var/log/kubernetes/audit.log";

/// How long a started control plane may take until it answers.
const API_LIMIT: Duration = Duration::from_secs(90);

/// What a finished cluster was made from; a cluster without it is not finished.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Record {
    /// The id of the control plane's container.
    control_plane: String,
    image: String,
    inputs: String,
}

/// One node's container.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    id: String,
    pub(crate) name: String,
    state: String,
}

impl Node {
    fn is_control_plane(&self) -> bool {
        self.name.ends_with("-control-plane")
    }
}

/// What there is of the cluster.
#[derive(Debug)]
enum Found {
    Nothing,
    Whole(Vec<Node>),
    /// Not usable, and why.
    Broken(&'static str),
}

/// Returns when the cluster is up and reachable; starts, repairs or re-creates it as needed.
pub(crate) fn ensure(lab: &Lab) -> anyhow::Result<()> {
    match find(lab)? {
        Found::Nothing => create(lab),
        Found::Whole(nodes) => {
            if let Err(error) = revive(lab, &nodes) {
                note(format_args!(
                    "== the cluster does not come back and is made anew: {error:#}"
                ));
                delete(lab)?;
                create(lab)?;
            }
            Ok(())
        }
        Found::Broken(why) => {
            note(format_args!("== the cluster is made anew: {why}"));
            delete(lab)?;
            create(lab)
        }
    }
}

/// Removes the cluster, whatever state it is in.
pub(crate) fn delete(lab: &Lab) -> anyhow::Result<()> {
    network::remove_host_routes();
    let kubeconfig = lab.home.kubeconfig();
    lab.with_tools("kind")
        .args(["delete", "cluster", "--name", NAME, "--kubeconfig"])
        .arg(&kubeconfig)
        .run()?;
    for file in [record_path(&lab.home), kubeconfig] {
        if file.exists() {
            fs::remove_file(&file)?;
        }
    }
    Ok(())
}

/// The cluster's node containers, running or not.
pub(crate) fn nodes() -> anyhow::Result<Vec<Node>> {
    let printed = docker()
        .args(["ps", "--all", "--no-trunc", "--filter"])
        .arg(format!("label=io.x-k8s.kind.cluster={NAME}"))
        .args(["--format", "{{.ID}} {{.Names}} {{.State}}"])
        .output()?;
    let mut nodes: Vec<Node> = printed
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').map(str::to_owned);
            Some(Node {
                id: words.next()?,
                name: words.next()?,
                state: words.next()?,
            })
        })
        .collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

/// One word for people: `running`, `absent`, or what is wrong.
pub(crate) fn state(lab: &Lab) -> anyhow::Result<String> {
    Ok(match find(lab)? {
        Found::Nothing => "absent".to_owned(),
        Found::Broken(why) => why.to_owned(),
        Found::Whole(nodes) => nodes
            .iter()
            .map(|node| format!("{} {}", node.name, node.state))
            .collect::<Vec<_>>()
            .join(", "),
    })
}

fn find(lab: &Lab) -> anyhow::Result<Found> {
    let nodes = nodes()?;
    if nodes.is_empty() {
        return Ok(Found::Nothing);
    }
    let Some(control_plane) = nodes.iter().find(|node| node.is_control_plane()) else {
        return Ok(Found::Broken("it has no control plane"));
    };
    let finished = fs::read(record_path(&lab.home))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok())
        .filter(|record| record.control_plane == control_plane.id);
    Ok(match finished {
        None => Found::Broken("its creation was not finished"),
        Some(_) if nodes.len() != WORKERS + 1 => Found::Broken("nodes are missing"),
        Some(record) if record != expected(lab.source, &control_plane.id) => {
            Found::Broken("it was made from other versions")
        }
        Some(_) if !lab.home.kubeconfig().exists() => Found::Broken("its kubeconfig is gone"),
        Some(_) => Found::Whole(nodes),
    })
}

fn create(lab: &Lab) -> anyhow::Result<()> {
    step(
        format_args!("creating the cluster {NAME}: 1 control plane, {WORKERS} workers"),
        || {
            let policy = lab.home.cluster().join("audit-policy.yaml");
            fs::write(&policy, AUDIT_POLICY)?;
            lab.with_tools("kind")
                .args(["create", "cluster", "--quiet", "--name", NAME, "--image"])
                .arg(image(lab.source))
                .args(["--config", "-", "--kubeconfig"])
                .arg(lab.home.kubeconfig())
                .input(config(lab.source, &policy))
                .run()
        },
    )?;
    step("connecting pods and nodes", || {
        network::connect_new_nodes(lab)?;
        await_nodes(lab)?;
        await_services(lab)
    })?;
    let nodes = nodes()?;
    let control_plane = nodes
        .iter()
        .find(|node| node.is_control_plane())
        .context("kind made no control plane")?;
    let record = expected(lab.source, &control_plane.id);
    fs::write(record_path(&lab.home), serde_json::to_vec(&record)?)?;
    Ok(())
}

/// Starts what is stopped and repairs what a restart forgets.
fn revive(lab: &Lab, nodes: &[Node]) -> anyhow::Result<()> {
    let stopped = |state: &str| {
        nodes
            .iter()
            .filter(|node| node.state == state)
            .map(|node| node.id.clone())
            .collect::<Vec<_>>()
    };
    let (paused, running) = (stopped("paused"), stopped("running"));
    if !paused.is_empty() {
        docker().arg("unpause").args(&paused).run()?;
    }
    let down: Vec<&Node> = nodes
        .iter()
        .filter(|node| !paused.contains(&node.id) && !running.contains(&node.id))
        .collect();
    if !down.is_empty() {
        step(
            format_args!("starting {} stopped nodes", down.len()),
            || {
                docker()
                    .arg("start")
                    .args(down.iter().map(|node| &node.id))
                    .run()
            },
        )?;
    }
    if !wait::until(API_LIMIT, || api_answers(lab)) {
        bail!(
            "its API server does not answer within {} s",
            API_LIMIT.as_secs()
        );
    }
    network::repair(lab)?;
    await_nodes(lab)?;
    if down.is_empty() {
        Ok(())
    } else {
        await_services(lab)
    }
}

fn api_answers(lab: &Lab) -> bool {
    lab.kubectl()
        .args(["get", "--raw", "/readyz", "--request-timeout=5s"])
        .succeeds()
}

fn await_nodes(lab: &Lab) -> anyhow::Result<()> {
    lab.kubectl()
        .args([
            "wait",
            "--for=condition=Ready",
            "node",
            "--all",
            "--timeout=120s",
        ])
        .run()
}

/// Names and volumes are served.
fn await_services(lab: &Lab) -> anyhow::Result<()> {
    let volumes = match lab.source {
        Source::Registry => "deployment/local-path-provisioner",
        Source::Packages => "daemonset/volumes",
    };
    for (namespace, served_by) in [
        ("kube-system", "deployment/coredns"),
        ("local-path-storage", volumes),
    ] {
        lab.kubectl()
            .args(["--namespace", namespace, "rollout", "status"])
            .args([served_by, "--timeout=120s"])
            .run()?;
    }
    Ok(())
}

fn expected(source: Source, control_plane: &str) -> Record {
    Record {
        control_plane: control_plane.to_owned(),
        image: image(source),
        inputs: match source {
            Source::Registry => versions::NODE_IMAGE.to_owned(),
            Source::Packages => node_image::inputs().as_str().to_owned(),
        },
    }
}

fn image(source: Source) -> String {
    match source {
        Source::Registry => versions::NODE_IMAGE.to_owned(),
        Source::Packages => node_image::name(),
    }
}

fn record_path(home: &Home) -> std::path::PathBuf {
    home.cluster().join("record.json")
}

/// kind's configuration: zones on the workers, an audit log, no network plug-in where the lab brings its own.
fn config(source: Source, audit_policy: &Path) -> String {
    let mut text = format!(
        "kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: {{disableDefaultCNI: {own_network}}}
nodes:
- role: control-plane
  extraMounts:
  - hostPath: {policy}
    containerPath: /etc/kubernetes/audit/policy.yaml
    readOnly: true
  kubeadmConfigPatches:
  - |
    kind: ClusterConfiguration
    apiServer:
      extraArgs:
        audit-policy-file: /etc/kubernetes/audit/policy.yaml
        audit-log-path: {AUDIT_LOG}
        audit-log-maxsize: \"200\"
        audit-log-maxbackup: \"1\"
      extraVolumes:
      - {{name: audit-policy, hostPath: /etc/kubernetes/audit, mountPath: /etc/kubernetes/audit, readOnly: true}}
      - {{name: audit-log, hostPath: /var/log/kubernetes, mountPath: /var/log/kubernetes, pathType: DirectoryOrCreate}}
",
        own_network = source == Source::Packages,
        policy = audit_policy.display(),
    );
    for zone in ('a'..).take(WORKERS) {
        let _ = writeln!(
            text,
            "- role: worker\n  labels: {{topology.kubernetes.io/zone: {zone}}}"
        );
    }
    text
}

/// The id that a node's containerd knows an image by, for every image it has: name to digest.
pub(crate) fn images_on(node: &str) -> anyhow::Result<Vec<(String, String)>> {
    let printed = on_node(node)
        .args(["ctr", "--namespace=k8s.io", "images", "list"])
        .output()?;
    Ok(printed
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.nth(1)?.to_owned()))
        })
        .collect())
}

/// A command inside a node.
pub(crate) fn on_node(node: &str) -> Cmd {
    docker().args(["exec", "--interactive", node])
}
