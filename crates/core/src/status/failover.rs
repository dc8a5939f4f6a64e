//! The last change of the primary.

use crate::bus::Bus;
use crate::observed::Observed;
use crate::plan::handover;
use crate::plan::view::View;
use crate::protocol::{HandoverCause, HandoverOutcome, HandoverReport};
use cachebus_api::CacheBusStatus;
use cachebus_api::status::{LastFailover, Topology};

/// Reasons of a change that was decided, not suffered.
pub const PLANNED: [&str; 3] = [
    handover::why::SWITCHOVER,
    handover::why::ROLLOUT,
    handover::why::SCALE_DOWN,
];

/// The status with a record of the plan in it and, where the primary changes by that, what is told of the change.
#[must_use]
pub fn recorded(bus: &Bus, observed: &Observed, topology: &Topology) -> CacheBusStatus {
    let view = View::new(bus, observed);
    let mut status = observed.status.clone();
    if let (Some(from), Some(to)) = (&view.topology.primary, &topology.primary)
        && from != to
    {
        let report = reported(&view, from, to);
        status.last_failover = Some(LastFailover {
            from: from.clone(),
            to: to.clone(),
            reason: reason(&view, from, to, report.map(|(report, _)| report.cause)),
            write_gap_ms: report.map(|(_, write_gap_ms)| write_gap_ms),
            finished_at: view.now(),
        });
    }
    status.topology = Some(topology.clone());
    status
}

/// What the agent of the former primary reports of a handover to the new one, and for how long no write was taken.
fn reported<'a>(view: &View<'a>, from: &str, to: &str) -> Option<(&'a HandoverReport, u64)> {
    let report = view.data(from)?.handover.as_ref()?;
    match report.outcome {
        HandoverOutcome::Done { write_gap_ms }
            if report.number > view.topology.handovers && report.to.as_deref() == Some(to) =>
        {
            Some((report, write_gap_ms))
        }
        _ => None,
    }
}

fn reason(view: &View<'_>, from: &str, to: &str, cause: Option<HandoverCause>) -> String {
    let chosen = view
        .topology
        .target
        .as_ref()
        .filter(|target| target.pod == to);
    let decided = handover::recorded(view);
    match (cause, chosen, decided) {
        (Some(HandoverCause::Stopped), _, _) => "PodStopped".to_owned(),
        (Some(HandoverCause::Crashed), _, _) => "ServerCrashed".to_owned(),
        (_, _, Some(handover)) => handover.reason.clone(),
        (_, Some(target), None) => target.reason.clone(),
        (_, None, None) if view.terminating(from) => "PodStopped".to_owned(),
        (_, None, None) => "SentinelFailover".to_owned(),
    }
}
