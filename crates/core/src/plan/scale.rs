//! A bus that shrinks keeps the pod that leads until another one does.

use super::Plan;
use super::blocked::{Blocked, reason};
use super::handover::{best, decide, failed, why};
use super::view::View;

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
