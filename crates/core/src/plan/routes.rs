//! Where the Services of the primary and of the replicas lead.

use super::orders::linked;
use super::view::View;
use crate::bus::Bus;
use crate::observed::Observed;
use crate::protocol::{DataStatus, Phase};
use crate::render::{Endpoint, Routes};

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
    Routes {
        primary: endpoint(observed, primary, view.leads(primary)),
        replicas: readable(&view, primary)
            .into_iter()
            .filter_map(|pod| endpoint(observed, pod, true))
            .collect(),
    }
}

/// The replicas that are in sync with the primary. While none has come to it yet, those that are in sync with the one before:
/// they are on their way, and what they serve meanwhile is no older than what a replica may serve. While no primary is there
/// at all, every whole copy: no reader is turned away for that.
fn readable<'a>(view: &View<'a>, primary: &str) -> Vec<&'a str> {
    let following: Vec<_> = view
        .reports()
        .filter(|(pod, _)| !view.terminating(pod) && *pod != primary)
        .filter_map(|(pod, data)| {
            let Phase::Following(host) = &data.phase else {
                return None;
            };
            Some((pod, data, view.bus.names.data_pod_of_host(host)?))
        })
        .collect();
    let pods = |serves: &dyn Fn(&DataStatus, &str) -> bool| -> Vec<&'a str> {
        let serving = following.iter().filter(|(_, data, of)| serves(data, of));
        serving.map(|(pod, ..)| *pod).collect()
    };
    [
        pods(&|data, of| linked(data) && of == primary),
        pods(&|data, _| linked(data)),
        pods(&|data, _| view.own_marker(data).is_some_and(|marker| marker.complete)),
    ]
    .into_iter()
    .find(|pods| !pods.is_empty())
    .unwrap_or_default()
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
