//! Sentinels that others still count although there is no such Sentinel any more.
//!
//! Each one raises the majority that a failover needs, and nobody but us takes it away: an engine forgets a Sentinel only when
//! another comes to its address. It is forgotten only where that is proven, and by one Sentinel at a time, for a Sentinel forgets
//! all that it has found with it, and finds its replicas anew a moment later.

use super::blocked::{Blocked, reason};
use super::health;
use super::sentinels::order;
use super::view::View;
use super::{Action, Plan};
use crate::names::Component;
use crate::protocol::{KnownSentinel, Monitored};

/// Those of the Sentinels that one counts that are none any more.
pub fn of<'a>(
    view: &View<'_>,
    monitored: &'a Monitored,
) -> impl Iterator<Item = &'a KnownSentinel> {
    let known = monitored.known.iter();
    known.filter(|known| is_gone(view, known))
}

/// Has the first Sentinel that counts ghosts forget those that are proven to be some, where a majority is well without it.
pub fn lay(view: &View<'_>, plan: &mut Plan) {
    let Some(primary) = view.topology.primary.as_deref() else {
        return;
    };
    let told = |action: &Action| matches!(action, Action::Monitor { .. });
    if view.failing_over() || plan.actions.iter().any(told) {
        return;
    }
    let answering: Vec<_> = view
        .told()
        .filter_map(|pod| Some((pod, view.sentinel(pod)?)))
        .collect();
    let flawed = answering.iter().any(|(pod, status)| {
        health::sentinel(view, pod, status).is_some_and(|(flaw, _)| flaw != reason::GHOSTS_KNOWN)
    });
    if flawed || answering.len() <= view.told().count() / 2 {
        return;
    }
    for (pod, status) in answering {
        let ghosts = status.monitored.iter().flat_map(|watch| of(view, watch));
        let (proven, unproven): (Vec<_>, Vec<_>) = ghosts.partition(|known| is_proven(view, known));
        if !proven.is_empty() {
            let forget = proven.into_iter().map(|known| known.run_id.clone());
            return plan.act(Action::Monitor {
                pod: pod.to_owned(),
                order: order(view, primary, forget.collect()),
            });
        }
        if let Some(ghost) = unproven.first() {
            plan.stuck(Blocked::new(
                reason::GHOSTS_KNOWN,
                format!(
                    "{pod} counts {}, which is to be silent for a while first",
                    ghost.host
                ),
            ));
        }
    }
}

/// Whether an identity is that of no Sentinel that there is to be. One whose pod is there and says nothing may be alive.
fn is_gone(view: &View<'_>, known: &KnownSentinel) -> bool {
    if let Some(pod) = bearer(view, &known.run_id) {
        return has_retired(view, pod);
    }
    let names = &view.bus.names;
    let Some(ordinal) = names.sentinel_ordinal(&known.host) else {
        return true;
    };
    let pod = names.pod(Component::Sentinel, ordinal);
    let is_replaced = view
        .sentinel(&pod)
        .is_some_and(|status| status.run_id.is_some());
    let exists = view
        .observed
        .sentinels
        .get(&pod)
        .is_some_and(|node| node.pod.is_some());
    is_replaced || !(exists || view.told().any(|told| told == pod))
}

/// Whether it cannot be heard of again.
fn is_proven(view: &View<'_>, known: &KnownSentinel) -> bool {
    known.silent || bearer(view, &known.run_id).is_some_and(|pod| has_retired(view, pod))
}

/// The pod of the answering Sentinel that has this identity.
fn bearer<'a>(view: &View<'a>, run_id: &str) -> Option<&'a str> {
    let pods = view.observed.sentinels.keys().map(String::as_str);
    let mut answering = pods.filter_map(|pod| Some((pod, view.sentinel(pod)?)));
    answering
        .find(|(_, status)| status.run_id.as_deref() == Some(run_id))
        .map(|(pod, _)| pod)
}

/// Whether a Sentinel that is not to watch the bus says itself that it does not.
fn has_retired(view: &View<'_>, pod: &str) -> bool {
    let watches = |pod| {
        view.sentinel(pod)
            .is_some_and(|status| status.monitored.is_some())
    };
    !watches(pod) && view.told().all(|told| told != pod)
}
