//! The charts: linted, rendered in both scopes, and given values they have to refuse.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::command::Cmd;
use crate::install::{CRDS_CHART, NAMESPACE, OPERATOR_CHART};
use crate::lab::{self, KUBERNETES};
use crate::workspace;

/// Values that make no sense, and the field that the refusal has to name.
const REFUSED: &[(&str, &str)] = &[
    ("replicaCount=0", "replicaCount"),
    ("replicaCount=many", "replicaCount"),
    ("metrics.port=80", "port"),
    ("image.pullPolicy=Sometimes", "pullPolicy"),
    ("image.repository=", "repository"),
    ("engines.images.redis=redis:8", "images"),
    ("watchNamespaces={Data}", "watchNamespaces"),
    ("watchNamespaces={data,data}", "watchNamespaces"),
    ("userRoles=Sometimes", "userRoles"),
    ("clusterDomain=under_score", "clusterDomain"),
    ("metrics.serviceMonitor.interval=often", "interval"),
    ("replicas=3", "replicas"),
];

/// Kinds of objects that are in a namespace, of those that the operator's chart can render.
const NAMESPACED: &[&str] = &[
    "Deployment",
    "Pod",
    "PodDisruptionBudget",
    "Role",
    "RoleBinding",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
];

pub(super) fn check() -> anyhow::Result<()> {
    for chart in [CRDS_CHART, OPERATOR_CHART] {
        helm()?
            .args(["lint", "--quiet", "--strict", "--kube-version", KUBERNETES])
            .arg(path(chart))
            .run()?;
    }
    let crds = render(CRDS_CHART, &[])?;
    ensure!(
        of_kind(&crds, "CustomResourceDefinition").count() > 0,
        "{CRDS_CHART} renders no CustomResourceDefinition"
    );
    everywhere()?;
    in_namespaces()?;
    for (value, field) in REFUSED {
        refuses(value, field)?;
    }
    Ok(())
}

fn everywhere() -> anyhow::Result<()> {
    let objects = render(OPERATOR_CHART, &[])?;
    ensure!(
        of_kind(&objects, "ClusterRoleBinding").count() == 1,
        "without watchNamespaces the operator needs one ClusterRoleBinding"
    );
    ensure!(
        users_roles(&objects) == 2,
        "without watchNamespaces the rights to view and to edit buses are aggregated"
    );
    // `create` cannot be bound to a name, and the Deployment says which Lease it is.
    ensure!(
        rules_of_leases(&objects).all(|rule| rule["resourceNames"][0] == "check-cachebus"
            || rule["verbs"] == json!(["create"])),
        "the operator has rights in Leases that are not its own"
    );
    for kind in ["Role", "ClusterRole"] {
        for role in of_kind(&objects, kind) {
            ensure!(
                role["rules"]
                    .as_array()
                    .is_some_and(|rules| !rules.is_empty()),
                "the {kind} {} allows nothing",
                role["metadata"]["name"]
            );
        }
    }
    Ok(())
}

fn in_namespaces() -> anyhow::Result<()> {
    let namespaces = ["data", "other"];
    let scoped = "watchNamespaces={data,other}";
    // With everything that the chart can render.
    let monitored = "metrics.serviceMonitor.enabled=true";
    let objects = render(OPERATOR_CHART, &["--set", scoped, "--set", monitored])?;
    for object in &objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        ensure!(
            NAMESPACED.contains(&kind),
            "with watchNamespaces the chart makes the {kind} {}, which whoever has rights in namespaces alone may not make",
            object["metadata"]["name"]
        );
    }
    for namespace in namespaces {
        ensure!(
            of_kind(&objects, "RoleBinding")
                .any(|binding| binding["metadata"]["namespace"] == namespace),
            "watchNamespaces grants nothing in {namespace}"
        );
    }
    let asked = render(
        OPERATOR_CHART,
        &["--set", scoped, "--set", "userRoles=Always"],
    )?;
    ensure!(
        users_roles(&asked) == 2,
        "userRoles=Always is not heeded with watchNamespaces"
    );
    let declined = render(OPERATOR_CHART, &["--set", "userRoles=Never"])?;
    ensure!(users_roles(&declined) == 0, "userRoles=Never is not heeded");
    Ok(())
}

fn rules_of_leases(objects: &[Value]) -> impl Iterator<Item = &Value> {
    of_kind(objects, "Role")
        .chain(of_kind(objects, "ClusterRole"))
        .filter_map(|role| role["rules"].as_array())
        .flatten()
        .filter(|rule| rule["resources"][0] == "leases")
}

/// Roles of the cluster that are aggregated to those of users, and are about all that users write.
fn users_roles(objects: &[Value]) -> usize {
    let whole = |role: &&Value| {
        let resources = &role["rules"][0]["resources"];
        *resources == json!(["cachebuses", "cachebusbackups"])
    };
    let aggregated = |role: &&Value| {
        let labels = role["metadata"]["labels"].as_object();
        labels.is_some_and(|labels| {
            let mut names = labels.keys();
            names.any(|name| name.starts_with("rbac.authorization.k8s.io/aggregate-to-"))
        })
    };
    of_kind(objects, "ClusterRole")
        .filter(aggregated)
        .filter(whole)
        .count()
}

fn refuses(value: &str, field: &str) -> anyhow::Result<()> {
    let Err(error) = template(OPERATOR_CHART, &["--set", value]) else {
        bail!("the chart takes {value}, which makes no sense");
    };
    let text = format!("{error:#}");
    ensure!(
        text.contains("schema") && text.contains(field),
        "the chart refuses {value} without naming {field}:\n{text}"
    );
    Ok(())
}

fn render(chart: &str, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let text = template(chart, arguments)?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text)
        .with_context(|| format!("{chart} renders what is not YAML"))?;
    Ok(objects
        .into_iter()
        .filter(|object| !object.is_null())
        .collect())
}

fn template(chart: &str, arguments: &[&str]) -> anyhow::Result<String> {
    helm()?
        .args(["template", "check"])
        .arg(path(chart))
        .args(["--namespace", NAMESPACE, "--kube-version", KUBERNETES])
        .args(arguments)
        .output()
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

fn path(chart: &str) -> PathBuf {
    workspace::root().join(chart)
}

/// Helm, which needs no cluster for this.
fn helm() -> anyhow::Result<Cmd> {
    Ok(Cmd::new(lab::host_program("helm")?))
}
