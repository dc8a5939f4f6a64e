//! Role labels of data pods, for people. Nothing is routed by them.

use super::view::View;
use super::{Action, Plan};
use cachebus_api::status::Topology;

/// Labels each pod by the record as it is after this pass.
pub fn settle(view: &View<'_>, topology: &Topology, plan: &mut Plan) {
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
