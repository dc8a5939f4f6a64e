//! Where the Services of the primary and of the replicas lead.

use super::orders::linked;
use super::view::View;
use crate::bus::Bus;
use crate::observed::Observed;
use crate::protocol::Phase;
use crate::render::{Endpoint, Routes};

/// The primary Service leads to the recorded primary, unless that says that it does not lead, or a majority of Sentinels names
/// another. One that says nothing is left in place: its clients may well reach it, and kubelet says whether it is ready. The
/// replicas Service leads to its replicas that are in sync.
#[must_use]
pub fn routes(bus: &Bus, observed: &Observed) -> Routes {
    let view = View::new(bus, observed);
    let named = view.named();
    let primary = view
        .topology
        .primary
        .as_ref()
        .filter(|primary| named.is_none_or(|named| named == *primary || view.lost(named)));
    let Some(primary) = primary else {
        return Routes::default();
    };
    let replicas = view.reports().filter(|(pod, data)| {
        let Phase::Following(host) = &data.phase else {
            return false;
        };
        linked(data)
            && !view.terminating(pod)
            && bus.names.data_pod_of_host(host).as_ref() == Some(primary)
    });
    Routes {
        primary: Some(primary)
            .filter(|primary| view.leads(primary) || view.data(primary).is_none())
            .and_then(|primary| endpoint(observed, primary)),
        replicas: replicas
            .filter_map(|(pod, _)| endpoint(observed, pod))
            .collect(),
    }
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
