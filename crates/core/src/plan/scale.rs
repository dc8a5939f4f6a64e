//! A bus that shrinks keeps the pod that leads until another one does.

use super::Plan;
use super::blocked::{Blocked, reason};
use super::handover::{best, decide, failed, why};
use super::view::View;
use crate::bus::Bus;
use crate::observed::Observed;
use crate::protocol::Phase;

/// The last of the data pods that lead, or that the record or Sentinels take for the one that does or is about to: it does not go, see
/// [`Bus::data_pods`]. Whoever was recorded may have been succeeded since, and the pods are asked for before that is recorded.
#[must_use]
pub fn kept(bus: &Bus, observed: &Observed) -> Option<String> {
    let view = View::new(bus, observed);
    let target = view.topology.target.as_ref().map(|target| &*target.pod);
    let recorded = target.into_iter().chain(view.topology.primary.as_deref());
    let named = view.named().into_iter().chain(view.moving_to());
    let leading = view
        .reports()
        .filter(|(_, data)| data.phase == Phase::Leading);
    recorded
        .chain(named)
        .chain(leading.map(|(pod, _)| pod))
        .max_by_key(|pod| bus.names.data_ordinal(pod))
        .map(str::to_owned)
}

/// The primary, where its pod is one more than the spec asks for.
pub fn surplus<'a>(view: &'a View<'_>) -> Option<&'a str> {
    let primary = view.topology.primary.as_deref()?;
    let ordinal = view.bus.names.data_ordinal(primary)?;
    (ordinal > view.bus.spec.replicas).then_some(primary)
}

/// Has the primary hand over to a pod that stays, where its own goes. Returns whether it goes.
pub fn shrink(view: &View<'_>, plan: &mut Plan) -> bool {
    let Some(primary) = surplus(view) else {
        return false;
    };
    match (failed(view), best(view)) {
        (Some(failed), _) => plan.stuck(stays(primary, &failed)),
        (None, Some(to)) => plan.act(decide(view, Some(to), why::SCALE_DOWN)),
        (None, None) => plan.stuck(stays(primary, "no pod that stays is in sync with it")),
    }
    true
}

fn stays(primary: &str, why: &str) -> Blocked {
    Blocked::new(
        reason::PRIMARY_BEYOND_REPLICAS,
        format!(
            "{primary} is one pod more than the spec asks for and stays while it is the primary: {why}"
        ),
    )
}
