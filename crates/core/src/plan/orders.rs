//! Orders to data pods that follow from the record.

use super::blocked::{Blocked, reason};
use super::topology::{confirmed, mistaken};
use super::view::View;
use super::{Action, Plan};
use crate::protocol::{DataStatus, Phase, TopologyOrder};
use crate::seal::vouches;
use cachebus_api::status::Target;

/// Orders what the record asks for: at most one of them begins or ends a lead.
pub fn give(view: &View<'_>, plan: &mut Plan) {
    match (&view.topology.target, &view.topology.primary) {
        (Some(target), _) => lead(view, target, plan),
        (None, Some(primary)) => follow(view, primary, plan),
        (None, None) => {}
    }
}

/// The pod that Sentinels name by mistake, where it is not the one that is to lead.
pub fn contradicted(view: &View<'_>, primary: &str) -> Option<String> {
    let named = view.named()?;
    (named != primary && mistaken(view, named)).then(|| named.to_owned())
}

/// The target leads once nobody else does.
fn lead(view: &View<'_>, target: &Target, plan: &mut Plan) {
    // Keys for which no marker vouches came with the volume.
    let unmarked = view.data(&target.pod).is_some_and(|data| {
        let vouched = data.marker.as_ref().is_some_and(vouches);
        !vouched && data.keys.is_some_and(|keys| keys > 0)
    });
    let moving_to = view
        .moving_to()
        .filter(|pod| *pod != target.pod)
        .map(str::to_owned);
    let order = TopologyOrder {
        uid: view.bus.uid.clone(),
        primary: target.pod.clone(),
        epoch: target.epoch,
        allow_empty: target.empty || unmarked,
        // Sentinels that were about to agree had all the time that copies were waited for.
        instead_of: contradicted(view, &target.pod).or(moving_to),
    };
    if let Some(other) = other_leader(view, &target.pod) {
        if view.moving_to().is_some() {
            return plan.wait(not_agreed(other));
        }
        return plan.act(Action::Order {
            pod: other.to_owned(),
            order,
        });
    }
    let Some(data) = view.data(&target.pod) else {
        return;
    };
    if !confirmed(view, data, target)
        && let Some(pod) = unaware(view, target)
    {
        return match view.data(pod).map(|data| &data.phase) {
            Some(Phase::Down | Phase::Loading | Phase::Unknown) => plan.wait(loading(pod)),
            Some(_) => plan.act(Action::Order {
                pod: pod.to_owned(),
                order,
            }),
            None => plan.wait(Blocked::new(
                reason::TARGET_UNREACHABLE,
                format!(
                    "{pod} was chosen as primary before {} and does not answer; it may lead yet",
                    target.pod
                ),
            )),
        };
    }
    match data.phase {
        Phase::Down | Phase::Loading | Phase::Unknown => plan.wait(loading(&target.pod)),
        Phase::Leading if confirmed(view, data, target) => {}
        Phase::Holding | Phase::Sealed | Phase::Leading | Phase::Following(_) => {
            plan.act(Action::Order {
                pod: target.pod.clone(),
                order,
            });
        }
    }
}

/// Everybody follows the primary.
fn follow(view: &View<'_>, primary: &str, plan: &mut Plan) {
    let order = TopologyOrder {
        uid: view.bus.uid.clone(),
        primary: primary.to_owned(),
        epoch: view.topology.epoch,
        allow_empty: false,
        instead_of: contradicted(view, primary),
    };
    let order_to = |pod: &str| Action::Order {
        pod: pod.to_owned(),
        order: order.clone(),
    };
    let Some(data) = view.data(primary).filter(|_| view.leads(primary)) else {
        let message = match view.data(primary) {
            Some(data) => format!("{primary} is the primary and {}", state(data)),
            None => format!("{primary} is the primary and does not answer"),
        };
        return plan.wait(Blocked::new(reason::PRIMARY_UNREACHABLE, message));
    };
    match other_leader(view, primary) {
        Some(other) if view.moving_to().is_some() => plan.wait(not_agreed(other)),
        Some(other) => plan.act(order_to(other)),
        None => {}
    }
    if view.obeyed(data) < order.epoch {
        plan.act(order_to(primary));
    }
    let failing_over = view.failing_over();
    let replicas = view.reports().filter(|(pod, _)| *pod != primary);
    for (pod, data) in replicas {
        let followed = match &data.phase {
            // Told above, one in each pass.
            Phase::Leading => continue,
            Phase::Down | Phase::Loading | Phase::Unknown => {
                plan.wait(loading(pod));
                continue;
            }
            Phase::Holding | Phase::Sealed => None,
            Phase::Following(host) => Some(host),
        };
        match followed {
            Some(host) if view.bus.names.data_pod_of_host(host).as_deref() == Some(primary) => {
                if !linked(data) {
                    plan.wait(Blocked::new(
                        reason::SYNCING,
                        format!("{pod} is not in sync with {primary} yet"),
                    ));
                } else if view.obeyed(data) < order.epoch {
                    // Sentinels brought it here, so it does not know how new its data is.
                    plan.act(order_to(pod));
                }
            }
            Some(host) if failing_over => plan.wait(Blocked::new(
                reason::FAILOVER_RUNNING,
                format!("{pod} still follows {host}"),
            )),
            Some(_) | None => plan.act(order_to(pod)),
        }
    }
}

/// An earlier target that does not know of this one: an order that is on its way to it would make it lead.
fn unaware<'a>(view: &View<'_>, target: &'a Target) -> Option<&'a str> {
    let mut earlier = target.superseded.iter().map(String::as_str);
    earlier.find(|pod| match view.data(pod) {
        Some(data) => view.obeyed(data) < target.epoch,
        None => !view.surely_off(pod),
    })
}

/// A node that leads and is not the one that should; where there are several, the first.
fn other_leader<'a>(view: &View<'a>, primary: &str) -> Option<&'a str> {
    view.reports()
        .find(|(pod, data)| *pod != primary && data.phase == Phase::Leading)
        .map(|(pod, _)| pod)
}

/// Whether a replica is in sync.
pub fn linked(data: &DataStatus) -> bool {
    data.replication
        .as_ref()
        .is_some_and(|replication| replication.link_up)
}

/// While Sentinels are about to agree on another than before, it is theirs to say who leads.
pub fn not_agreed(leader: &str) -> Blocked {
    Blocked::new(
        reason::FAILOVER_RUNNING,
        format!("{leader} leads, and Sentinels have yet to agree on a primary"),
    )
}

fn loading(pod: &str) -> Blocked {
    Blocked::new(
        reason::LOADING,
        format!("{pod} is starting or reads its files"),
    )
}

fn state(data: &DataStatus) -> String {
    match &data.phase {
        Phase::Down => "its server does not run".to_owned(),
        Phase::Holding => "has lost its dataset".to_owned(),
        Phase::Loading => "reads its files".to_owned(),
        Phase::Sealed => "is sealed".to_owned(),
        Phase::Leading => "leads".to_owned(),
        Phase::Following(host) => format!("follows {host}"),
        Phase::Unknown => "is where this operator has no word for".to_owned(),
    }
}
