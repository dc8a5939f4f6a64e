//! Planned changes of the primary. One is recorded, carried out by the primary's agent, and over when Sentinels name the other
//! pod, or given up.

use super::blocked::{Blocked, reason};
use super::health::{self, leading};
use super::view::View;
use super::{Action, Plan};
use crate::handover::refusal;
use crate::protocol::{HandoverCause, HandoverOrder, HandoverOutcome, HandoverReport, Refusal};
use cachebus_api::status::{Handover, Topology};
use std::cmp::Reverse;

/// Time in which the lead must be with the other pod, in milliseconds. An agent that refuses for what may pass, and has held no write
/// for it, is asked again until then.
const PATIENCE_MS: u64 = 30_000;
/// Time after a decision that failed in which it is not taken anew, in milliseconds: writes are held in each attempt.
const RETRY_MS: u64 = 90_000;

/// Why the primary is changed, in [`Handover::reason`].
pub mod why {
    pub const SWITCHOVER: &str = "Switchover";
    pub const ROLLOUT: &str = "Rollout";
    pub const SCALE_DOWN: &str = "ScaleDown";
}

/// The recorded handover, unless it has failed.
pub fn recorded<'a>(view: &'a View<'_>) -> Option<&'a Handover> {
    let handover = view.topology.handover.as_ref();
    handover.filter(|handover| handover.failed.is_none())
}

/// The recorded handover that has failed and is not to be tried again yet, and why.
pub fn failed(view: &View<'_>) -> Option<String> {
    let handover = view.topology.handover.as_ref()?;
    let why = handover.failed.as_ref()?;
    Some(format!(
        "the handover failed ({why}) and is tried again {} s after it was decided",
        RETRY_MS / 1_000
    ))
}

/// A handover that an agent is carrying out: nobody else may change the topology meanwhile.
pub fn running(view: &View<'_>) -> Option<Blocked> {
    view.reports().find_map(|(pod, data)| {
        let running = data.handover.as_ref()?.outcome == HandoverOutcome::Running;
        running.then(|| {
            Blocked::new(
                reason::HANDOVER_RUNNING,
                format!("{pod} is handing the lead over"),
            )
        })
    })
}

/// Carries on with the recorded handover. Returns whether there is one: then nothing else may change the topology.
pub fn carry_on(view: &View<'_>, plan: &mut Plan) -> bool {
    let topology = &view.topology;
    let (Some(handover), Some(primary)) = (&topology.handover, &topology.primary) else {
        return false;
    };
    let since = Some(&handover.since);
    if handover.failed.is_some() {
        let forgotten = view.passed(since, RETRY_MS);
        if forgotten {
            plan.act(Action::Record(Topology {
                handover: None,
                ..topology.clone()
            }));
        }
        return forgotten;
    }
    let late = view.passed(since, PATIENCE_MS);
    match ordered(view, primary).map(|report| (report.number, &report.outcome)) {
        Some((handovers, HandoverOutcome::Failed(why))) => {
            let again = !late && why.reason == refusal::NOT_YET_IN_SYNC;
            let record = if again {
                topology.clone()
            } else {
                refused(topology, why)
            };
            plan.act(Action::Record(Topology {
                handovers,
                ..record
            }));
        }
        _ if late => {
            let why = format!("it was not done within {} s", PATIENCE_MS / 1_000);
            plan.act(Action::Record(gave_up(topology, why)));
        }
        // It is done, and Sentinels are about to say so.
        Some(_) => plan.wait(under_way(primary, handover)),
        None => {
            let obstacle = obstacle(view, primary);
            if obstacle.is_none() {
                plan.act(Action::HandOver {
                    pod: primary.clone(),
                    order: HandoverOrder {
                        uid: view.bus.uid.clone(),
                        epoch: topology.epoch,
                        to: handover.to.clone(),
                    },
                });
            }
            plan.wait(obstacle.unwrap_or_else(|| under_way(primary, handover)));
        }
    }
    true
}

/// The record after the primary's agent refused to hand over.
#[must_use]
pub fn refused(topology: &Topology, refusal: &Refusal) -> Topology {
    gave_up(topology, format!("{}: {}", refusal.reason, refusal.message))
}

fn gave_up(topology: &Topology, why: String) -> Topology {
    Topology {
        handover: topology.handover.clone().map(|handover| Handover {
            failed: Some(why),
            ..handover
        }),
        ..topology.clone()
    }
}

/// Whether a record still asks for a handover.
#[must_use]
pub fn handover_intended(topology: &Topology, pod: &str, order: &HandoverOrder) -> bool {
    let handover = topology.handover.as_ref();
    topology.primary.as_deref() == Some(pod)
        && topology.epoch == order.epoch
        && topology.target.is_none()
        && handover.is_some_and(|handover| handover.failed.is_none() && handover.to == order.to)
}

/// The record with a handover in it. `to`: `None`: the primary's agent chooses.
pub fn decide(view: &View<'_>, to: Option<String>, why: &str) -> Action {
    let primary = view.topology.primary.as_deref();
    Action::Record(Topology {
        handover: Some(Handover {
            to,
            reason: why.to_owned(),
            since: view.now(),
            failed: None,
        }),
        // What it reports by now was another one.
        handovers: primary.map_or(0, |primary| view.handovers(primary)),
        ..view.topology.clone()
    })
}

/// What keeps a pod from taking the lead over, for people. `None`: nothing that can be seen from here.
pub fn unfit(view: &View<'_>, pod: &str) -> Option<String> {
    let names = &view.bus.names;
    let Some(ordinal) = names.data_ordinal(pod) else {
        let bus = names.bus();
        return Some(format!("{pod} is no data pod of {bus}"));
    };
    if ordinal > view.bus.spec.replicas {
        let pods = view.bus.spec.replicas + 1;
        return Some(format!("{pod} is none of the {pods} data pods of the spec"));
    }
    if view.topology.primary.as_deref() == Some(pod) {
        return Some(format!("{pod} is the primary already"));
    }
    let seen = view
        .observed
        .data
        .get(pod)
        .and_then(|node| node.pod.as_ref());
    if seen.is_none_or(|seen| seen.terminating || !seen.ready) {
        return Some(format!("{pod} is not ready"));
    }
    health::replica(view, pod, leading(view)).map(|flaw| format!("{pod} {flaw}"))
}

/// The replica that would lose least by taking the lead over.
pub fn best(view: &View<'_>) -> Option<String> {
    let fit = view.nodes.iter().enumerate();
    let fit = fit.filter(|(_, pod)| unfit(view, pod).is_none());
    fit.max_by_key(|(ordinal, pod)| {
        let replication = view.data(pod).and_then(|data| data.replication.as_ref());
        let offset = replication.map_or(0, |replication| replication.offset);
        (offset, Reverse(*ordinal))
    })
    .map(|(_, pod)| pod.clone())
}

/// What an agent reports of the handover that its order began, where that is not accounted for yet.
fn ordered<'a>(view: &View<'a>, primary: &str) -> Option<&'a HandoverReport> {
    let report = view.data(primary)?.handover.as_ref()?;
    let new = report.number > view.topology.handovers;
    (new && report.cause == HandoverCause::Ordered).then_some(report)
}

/// Why no order is sent for now.
fn obstacle(view: &View<'_>, primary: &str) -> Option<Blocked> {
    // Left on the object it would be carried out twice.
    if view.observed.request.is_some() {
        return Some(Blocked::new(
            reason::HANDOVER_RUNNING,
            format!("{primary} hands the lead over when the request has been taken off the object"),
        ));
    }
    if !view.leads(primary) {
        return Some(Blocked::new(
            reason::PRIMARY_UNREACHABLE,
            format!("{primary} is to hand the lead over and does not lead at the moment"),
        ));
    }
    view.failing_over().then(|| {
        Blocked::new(
            reason::FAILOVER_RUNNING,
            format!("{primary} hands the lead over when Sentinels are done with theirs"),
        )
    })
}

fn under_way(primary: &str, handover: &Handover) -> Blocked {
    let to = handover.to.as_deref().unwrap_or("a replica");
    Blocked::new(
        reason::HANDOVER_RUNNING,
        format!("{primary} hands the lead over to {to}"),
    )
}
