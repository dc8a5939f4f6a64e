//! What is printed of a scenario that failed.

use cachebus_api::CacheBus;
use cachebus_core::names::{BUS_LABEL, Component, Names};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::access::Access;
use crate::bus::{DOMAIN, conditions};
use crate::lab::Lab;
use crate::nodes::agent_status;
use crate::pods::{Pods, is_ready, restarts};
use crate::run::print;

/// Lines of each log.
const TAIL: i64 = 40;

/// Prints the state of the scenario's buses, their pods and the operator.
pub async fn dump(lab: &Lab) {
    let namespaces = lab.scenario_namespaces().await.unwrap_or_default();
    for namespace in namespaces {
        show(
            &format!("buses of {namespace}"),
            buses(lab, &namespace).await,
        );
        show(&format!("pods of {namespace}"), pods(lab, &namespace).await);
        show(
            &format!("agents of {namespace}"),
            agents(lab, &namespace).await,
        );
        show(
            &format!("events of {namespace}"),
            events(lab, &namespace).await,
        );
    }
    show("operator", operator(lab).await);
}

fn show(title: &str, text: anyhow::Result<String>) {
    print(format_args!("   == {title}"));
    for line in text.unwrap_or_else(|error| format!("{error:#}")).lines() {
        print(format_args!("      {line}"));
    }
}

async fn buses(lab: &Lab, namespace: &str) -> anyhow::Result<String> {
    let api: Api<CacheBus> = Api::namespaced(lab.client.clone(), namespace);
    let found = api.list(&ListParams::default()).await?;
    let lines = found.iter().map(|bus| {
        let topology = bus
            .status
            .as_ref()
            .and_then(|status| status.topology.as_ref());
        format!("{}: {}\n  {topology:?}", bus.name_any(), conditions(bus))
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

async fn pods(lab: &Lab, namespace: &str) -> anyhow::Result<String> {
    let all = Pods::new(&lab.client, namespace, "");
    let mut lines = Vec::new();
    for pod in all.list().await? {
        let name = pod.name_any();
        let status = pod.status.as_ref();
        let phase = status
            .and_then(|status| status.phase.as_deref())
            .unwrap_or_default();
        let ready = is_ready(&pod);
        let restarts = restarts(&pod);
        lines.push(format!("{name} {phase} ready={ready} restarts={restarts}"));
        for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
            let log = all.logs(&name, &container.name, Some(TAIL)).await;
            let log = log.unwrap_or_else(|error| format!("{error:#}"));
            lines.extend(log.lines().map(|line| format!("  | {line}")));
        }
    }
    Ok(lines.join("\n"))
}

async fn agents(lab: &Lab, namespace: &str) -> anyhow::Result<String> {
    let all: Api<Pod> = Api::namespaced(lab.client.clone(), namespace);
    let mut lines = Vec::new();
    for pod in all.list(&ListParams::default().labels(BUS_LABEL)).await? {
        let bus = pod.labels().get(BUS_LABEL).cloned().unwrap_or_default();
        let names = Names::new(&bus, namespace, DOMAIN);
        let name = pod.name_any();
        let component = if name.contains("-sentinel-") {
            Component::Sentinel
        } else {
            Component::Redis
        };
        let said = async {
            let access = Access::read(&lab.client, &names).await?;
            agent_status(&lab.client, &access, component, &name).await
        };
        let said = said.await.unwrap_or_else(|error| format!("{error:#}"));
        lines.push(format!("{name}: {said}"));
    }
    Ok(lines.join("\n"))
}

/// Warnings, and what was said of buses.
async fn events(lab: &Lab, namespace: &str) -> anyhow::Result<String> {
    let api: Api<Event> = Api::namespaced(lab.client.clone(), namespace);
    let lines = api
        .list(&ListParams::default())
        .await?
        .into_iter()
        .filter_map(|event| {
            let type_ = event.type_.unwrap_or_default();
            let kind = event.involved_object.kind.unwrap_or_default();
            let name = event.involved_object.name.unwrap_or_default();
            let reason = event.reason.unwrap_or_default();
            let message = event.message.unwrap_or_default();
            (type_ == "Warning" || kind == "CacheBus")
                .then(|| format!("{type_} {kind}/{name} {reason}: {message}"))
        });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

async fn operator(lab: &Lab) -> anyhow::Result<String> {
    let pods = lab.operator.pods();
    let mut lines = Vec::new();
    for pod in pods.list().await? {
        let name = pod.name_any();
        lines.push(pods.logs(&name, "operator", Some(TAIL)).await?);
        lines.push(name);
    }
    lines.reverse();
    Ok(lines.join("\n"))
}
