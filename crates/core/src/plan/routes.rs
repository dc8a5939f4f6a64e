//! Where the Services of the primary and of the replicas lead.

use super::orders::linked;
use super::view::View;
use crate::bus::Bus;
use crate::observed::Observed;
use crate::protocol::{DataStatus, Phase};
use crate::render::{Endpoint, Routes};
use crate::status::kind;

/// How long a route stays after its pod has gone. Sentinels that see a connection refused need less.
const STAYS_MS: u64 = 10_000;

/// The primary Service leads to one pod: the one that a majority of Sentinels names, else the recorded one. One that does not
/// lead is left in place until another is named: its clients are refused either way, and a route that is taken away first
/// comes back late, since kube-proxy lets a second pass between two changes. Kubelet says whether it is ready.
///
/// The routes may run ahead of the record. They begin no lead and end none: who takes writes is decided on the servers, and
/// by the Sentinels' majority that this follows. Were the record then refused, since somebody else wrote it, the next look
/// would still show the same majority. To wait for it would only keep clients longer on a pod that is none any more.
#[must_use]
pub fn routes(bus: &Bus, observed: &Observed) -> Routes {
    let view = View::new(bus, observed);
    let named = view.named().filter(|named| !view.lost(named));
    let Some(primary) = named.or(view.topology.primary.as_deref()) else {
        return Routes::default();
    };
    let to_primary = endpoint(observed, primary, view.leads(primary));
    Routes {
        stays: to_primary.is_none() && is_recent(bus, observed),
        primary: to_primary,
        replicas: readable(&view, primary)
            .into_iter()
            .filter_map(|pod| endpoint(observed, pod, true))
            .collect(),
    }
}

/// Whether the primary was there until just now, as far as people were told: its pod was deleted by force, and in a moment
/// Sentinels name another. For longer a route to nowhere must not stand: clients would wait, and the address gets a new owner.
fn is_recent(bus: &Bus, observed: &Observed) -> bool {
    let mut conditions = observed.status.conditions.iter();
    let available = conditions.find(|condition| condition.type_ == kind::AVAILABLE);
    !bus.spec.hibernated
        && available.is_some_and(|available| {
            let since = available.last_transition_time.0.as_millisecond();
            let since = u64::try_from(since).unwrap_or_default();
            available.status == "True" || observed.now_ms.saturating_sub(since) < STAYS_MS
        })
}

/// The replicas that are in sync with the primary, or were until just now. While none has come to it yet, those that are in sync with
/// the one before: they are on their way, and what they serve meanwhile is no older than what a replica may serve. While it does not
/// lead, is about to hand over since its pod is being deleted, or one leads that is newer, every whole copy too: no reader is turned
/// away for that, and no change of this route makes that of the primary wait.
fn readable<'a>(view: &View<'a>, primary: &str) -> Vec<&'a str> {
    let others: Vec<_> = view
        .reports()
        .filter(|(pod, _)| !view.terminating(pod) && *pod != primary)
        .collect();
    let serving = |serves: &dyn Fn(&'a DataStatus) -> bool| -> Vec<&'a str> {
        let serving = others.iter().filter(|(_, data)| serves(data));
        serving.map(|(pod, _)| *pod).collect()
    };
    let in_sync = |data: &'a DataStatus| {
        let Phase::Following(host) = &data.phase else {
            return None;
        };
        let followed = view.bus.names.data_pod_of_host(host);
        followed.filter(|_| recent(data))
    };
    let leading = |pod: &str| {
        let data = view.data(pod)?;
        (data.phase == Phase::Leading).then(|| view.epoch(data))
    };
    let newest = others.iter().filter_map(|(pod, _)| leading(pod)).max();
    let settled =
        !view.terminating(primary) && leading(primary).is_some_and(|epoch| Some(epoch) >= newest);
    let whole = |data: &'a DataStatus| {
        let runs = matches!(data.phase, Phase::Following(_) | Phase::Leading);
        runs && (recent(data) || view.own_marker(data).is_some_and(|marker| marker.complete))
    };
    let closest = settled.then(|| {
        let own = serving(&|data| in_sync(data).is_some_and(|followed| followed == primary));
        let any = || serving(&|data| in_sync(data).is_some());
        if own.is_empty() { any() } else { own }
    });
    closest
        .filter(|pods| !pods.is_empty())
        .unwrap_or_else(|| serving(&whole))
}

/// Whether a replica serves what its primary did just now: a link that has ended in this moment is often the first sign of a change of
/// the primary.
fn recent(data: &DataStatus) -> bool {
    let replication = data.replication.as_ref();
    linked(data) || replication.is_some_and(|replication| replication.was_in_sync)
}

/// A pod's place in an `EndpointSlice`, once it has an address. `serves`: its agent says so, which kubelet hears of later.
fn endpoint(observed: &Observed, pod: &str, serves: bool) -> Option<Endpoint> {
    let seen = observed.data.get(pod)?.pod.as_ref()?;
    Some(Endpoint {
        pod: pod.to_owned(),
        ip: seen.ip.clone()?,
        node: seen.node.clone(),
        ready: serves || seen.ready,
    })
}
