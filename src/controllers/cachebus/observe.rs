//! One look at a bus: its pods, and what their agents say.

mod backups;
mod trouble;
mod volumes;

use super::report::Bus as Watched;
use crate::agents::{Address, BusAgents, Revision};
use crate::context::Context;
use crate::partial::PartialPod;
use cachebus_api::Bytes;
use cachebus_core::bus::Bus;
use cachebus_core::names::{
    AWAITS_ANNOTATION, BUS_LABEL, COMPONENT_LABEL, Component, FLUSH_ANNOTATION, ROLE_LABEL,
    SWITCHOVER_ANNOTATION,
};
use cachebus_core::observed::{Node, Observed, PodView};
use futures::future::join_all;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Looks at a bus. Agents are asked all at once; one that does not answer is an entry that says so. Also returns the revision of
/// each report, where its agent can tell of another.
pub async fn observe(
    context: &Context,
    bus: &Bus,
    agents: &BusAgents,
    watched: &Watched<'_>,
) -> (Observed, Vec<(Address, Revision)>) {
    // Facts are no younger than this, and what rests on them must not be taken for newer than it is.
    let now_ms = now_ms();
    let ((mut data, mut heard), (sentinels, heard_of_sentinels)) = futures::join!(
        nodes(
            context,
            bus,
            agents,
            Component::Redis,
            1 + bus.spec.replicas
        ),
        nodes(
            context,
            bus,
            agents,
            Component::Sentinel,
            bus.spec.sentinel.replicas
        ),
    );
    heard.extend(heard_of_sentinels);
    let names = &bus.names;
    context
        .memory
        .with(names.namespace(), names.bus(), &bus.uid, |remembered| {
            remembered.silences.note(&mut data, Instant::now());
        });
    let observed = Observed {
        now_ms,
        status: watched.status(),
        request: watched.request(SWITCHOVER_ANNOTATION),
        flush_request: watched.request(FLUSH_ANNOTATION),
        data,
        sentinels,
        revisions: revisions(context, bus),
        sets: volumes::sets(context, bus),
        backups: backups::backups(context, bus),
    };
    (observed, heard)
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

async fn nodes(
    context: &Context,
    bus: &Bus,
    agents: &BusAgents,
    component: Component,
    desired: u32,
) -> (BTreeMap<String, Node>, Vec<(Address, Revision)>) {
    let mut nodes: BTreeMap<String, Node> = (0..desired)
        .map(|ordinal| (bus.names.pod(component, ordinal), Node::default()))
        .collect();
    for pod in pods(context, bus, component) {
        nodes.entry(pod.name_any()).or_default().pod = Some(view(&pod));
    }
    volumes::look(context, bus, component, &mut nodes).await;
    let looks = nodes.iter_mut().filter_map(|(name, node)| {
        let address = Address::of(component, name, node.pod.as_ref()?.ip.as_ref()?)?;
        Some(async move {
            match agents.look(&address).await {
                Ok(report) => {
                    node.agent = Some(report.status);
                    return Some((address, report.revision?));
                }
                Err(error) => node.unreachable = Some(error.to_string()),
            }
            None
        })
    });
    let heard = join_all(looks).await.into_iter().flatten().collect();
    (nodes, heard)
}

fn pods(context: &Context, bus: &Bus, component: Component) -> Vec<std::sync::Arc<PartialPod>> {
    let component = component.to_string();
    context.stores.pods.state_filter(|pod| {
        pod.metadata.namespace.as_deref() == Some(bus.names.namespace())
            && pod
                .labels()
                .get(BUS_LABEL)
                .is_some_and(|name| name == bus.names.bus())
            && pod.labels().get(COMPONENT_LABEL) == Some(&component)
    })
}

fn view(pod: &PartialPod) -> PodView {
    let status = &pod.status;
    // A pod that has ended keeps its address in its status, and another pod may have it by now.
    let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    PodView {
        uid: pod.uid().unwrap_or_default(),
        ip: owned(&status.pod_ip).filter(|ip| !ended && !ip.is_empty()),
        node: owned(&pod.spec.node_name),
        memory_limit: pod
            .memory_limit()
            .and_then(|limit| Bytes::text(limit).get()),
        ready: status
            .conditions
            .iter()
            .any(|condition| &*condition.type_ == "Ready" && &*condition.status == "True"),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        revision: pod.labels().get("controller-revision-hash").cloned(),
        role: pod.labels().get(ROLE_LABEL).cloned(),
        awaits: pod.annotations().get(AWAITS_ANNOTATION).cloned(),
        trouble: trouble::trouble(status),
        out_of_memory_ms: trouble::out_of_memory_ms(status),
    }
}

/// The revision that new pods of each StatefulSet are made from, once its controller has seen its latest generation.
fn revisions(context: &Context, bus: &Bus) -> BTreeMap<Component, String> {
    [Component::Redis, Component::Sentinel]
        .into_iter()
        .filter_map(|component| {
            let key = ObjectRef::new(&bus.names.workload(component)).within(bus.names.namespace());
            let stateful_set = context.stores.stateful_sets.get(&key)?;
            let status = &stateful_set.status;
            let current = status.observed_generation >= stateful_set.metadata.generation;
            Some((
                component,
                status
                    .update_revision
                    .as_deref()
                    .filter(|_| current)?
                    .to_owned(),
            ))
        })
        .collect()
}
