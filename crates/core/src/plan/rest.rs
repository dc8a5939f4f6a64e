//! Buses that are left as they are, or put to sleep.

use super::blocked::{Blocked, reason};
use super::topology::{Course, course};
use super::view::View;
use super::{Action, Plan, flush, labels, request, restore};
use crate::bus::Bus;
use crate::names::Component;
use crate::observed::{Node, Observed};
use cachebus_api::status::Topology;
use std::collections::BTreeSet;

/// Why the bus is to be left alone, for people: then nothing is ordered, chosen or corrected.
pub fn resting(bus: &Bus) -> Option<&'static str> {
    if bus.spec.paused {
        Some("the bus is paused")
    } else if bus.spec.hibernated {
        Some("the bus is hibernated")
    } else {
        None
    }
}

/// What goes on for a bus that is left alone: what Sentinels decide is recorded and labelled, so that the record does not lie
/// to whoever reads it next.
pub fn follow(view: &View<'_>, plan: &mut Plan) {
    let followed = match course(view) {
        Course::Record(topology) if is_switch(view, &topology) => Some(*topology),
        Course::Record(_) | Course::Wait(_) | Course::Keep => None,
    };
    if let Some(topology) = &followed {
        plan.act(Action::Record(topology.clone()));
    }
    labels::settle(view, followed.as_ref().unwrap_or(&view.topology), plan);
    flush::answer(view, plan);
    if let Some(why) = resting(view.bus) {
        request::refuse(view, why, plan);
    }
    if view.bus.spec.paused {
        view.absences(plan);
        return;
    }
    if let Some(stopping) = stopping(view) {
        plan.wait(stopping);
    }
}

/// Whether a record says that a majority of Sentinels names another pod than before, and nothing else.
fn is_switch(view: &View<'_>, topology: &Topology) -> bool {
    topology.target.is_none()
        && topology.primary != view.topology.primary
        && topology.primary.as_deref() == view.named()
}

fn stopping(view: &View<'_>) -> Option<Blocked> {
    let pods = still_there(view.observed);
    (!pods.is_empty()).then(|| {
        Blocked::new(
            reason::STOPPING,
            format!("being stopped: {}", pods.join(", ")),
        )
    })
}

/// The pods of a bus that are there, data pods first.
pub fn still_there(observed: &Observed) -> Vec<&str> {
    let nodes = observed.data.iter().chain(&observed.sentinels);
    nodes
        .filter(|(_, node)| exists(node))
        .map(|(pod, _)| pod.as_str())
        .collect()
}

fn exists(node: &Node) -> bool {
    node.pod.is_some()
}

/// The components that are to have no pods now. Sentinels go first: while none is there nobody makes another pod the primary,
/// and the one that stops last in this order is the one that comes back. A bus that begins with a backup has no data pods until
/// it has it.
#[must_use]
pub fn asleep(bus: &Bus, observed: &Observed) -> BTreeSet<Component> {
    let mut asleep = BTreeSet::new();
    if bus.spec.hibernated {
        asleep.insert(Component::Sentinel);
    }
    let sentinels_are_gone = !observed.sentinels.values().any(exists);
    if restore::awaits(bus, observed) || (bus.spec.hibernated && sentinels_are_gone) {
        asleep.insert(Component::Redis);
    }
    asleep
}
