//! Where the Services of the primary and of the replicas lead.

use super::orders::linked;
use super::view::View;
use crate::bus::Bus;
use crate::observed::Observed;
use crate::protocol::Phase;
use crate::render::{Endpoint, Routes};

/// The primary Service leads to one pod: the one that a majority of Sentinels names, else the recorded one, unless that says
/// that it does not lead. One that says nothing is left in place: its clients may well reach it, and kubelet says whether it
/// is ready.
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
    Routes {
        primary: Some(primary)
            .filter(|primary| view.leads(primary) || view.data(primary).is_none())
            .and_then(|primary| endpoint(observed, primary)),
        replicas: readable(&view, primary)
            .filter_map(|pod| endpoint(observed, pod))
            .collect(),
    }
}

/// The replicas that are in sync with the primary. While none has come to it yet, those that are in sync with the one before:
/// they are on their way, and what they serve meanwhile is no older than what a replica may serve.
fn readable<'a>(view: &View<'a>, primary: &str) -> impl Iterator<Item = &'a str> {
    let (own, others): (Vec<_>, Vec<_>) = view
        .reports()
        .filter(|(pod, data)| linked(data) && !view.terminating(pod) && *pod != primary)
        .filter_map(|(pod, data)| {
            let Phase::Following(host) = &data.phase else {
                return None;
            };
            Some((pod, view.bus.names.data_pod_of_host(host)?))
        })
        .partition(|(_, followed)| followed == primary);
    let readable = if own.is_empty() { others } else { own };
    readable.into_iter().map(|(pod, _)| pod)
}

/// A pod's place in an `EndpointSlice`, once it has an address.
fn endpoint(observed: &Observed, pod: &str) -> Option<Endpoint> {
    let seen = observed.data.get(pod)?.pod.as_ref()?;
    Some(Endpoint {
        pod: pod.to_owned(),
        ip: seen.ip.clone()?,
        node: seen.node.clone(),
        ready: seen.ready,
    })
}
