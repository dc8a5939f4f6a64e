//! Live users of every pod are those of the ACL files.

use super::view::View;
use super::{Action, Desired, Plan};
use crate::acl::digest;
use crate::observed::Node;
use crate::protocol::{AclOrder, AgentStatus, NodeStatus, Phase};

/// Sends the ACL file to each pod whose server runs with other users.
pub fn settle(view: &View<'_>, desired: &Desired, plan: &mut Plan) {
    let data = (&view.observed.data, &desired.acl.redis);
    let sentinels = (&view.observed.sentinels, &desired.acl.sentinel);
    for (nodes, text) in [data, sentinels] {
        let wanted = digest(text);
        for (pod, node) in nodes {
            if view.is_ours(node) && differs(node, &wanted) {
                plan.act(Action::SetUsers {
                    pod: pod.clone(),
                    order: AclOrder { text: text.clone() },
                });
            }
        }
    }
}

/// Whether a pod's server runs with other users than these. One that does not run reads its file when it starts.
pub fn differs(node: &Node, wanted: &str) -> bool {
    node.agent
        .as_ref()
        .is_some_and(|agent| runs(agent) && agent.acl_digest.as_deref() != Some(wanted))
}

/// Whether a pod's server runs and answers.
pub fn runs(agent: &AgentStatus) -> bool {
    match &agent.node {
        NodeStatus::Redis(data) => !matches!(
            data.phase,
            Phase::Down | Phase::Holding | Phase::Loading | Phase::Unknown
        ),
        NodeStatus::Sentinel(sentinel) => sentinel.up,
    }
}
