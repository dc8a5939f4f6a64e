//! Role labels of data pods, for people. Nothing is routed by them.

use super::view::View;
use super::{Action, Plan};

/// Labels each pod by the record.
pub fn settle(view: &View<'_>, plan: &mut Plan) {
    let topology = &view.topology;
    let (Some(primary), None) = (&topology.primary, &topology.target) else {
        return;
    };
    for (pod, node) in &view.observed.data {
        let Some(seen) = node.pod.as_ref().filter(|seen| !seen.terminating) else {
            continue;
        };
        let role = if pod == primary { "primary" } else { "replica" };
        if seen.role.as_deref() != Some(role) {
            plan.act(Action::Label {
                pod: pod.clone(),
                role,
            });
        }
    }
}
