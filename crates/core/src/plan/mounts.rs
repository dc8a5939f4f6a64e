//! Pods that go by an older ConfigMap or certificate than there is.
//!
//! Kubelet brings what has changed to a pod when it next looks after the pod, up to a minute and a half later, and at once when
//! the pod itself has changed.

use super::view::View;
use super::{Action, Desired, Plan};
use crate::protocol::AgentStatus;

/// Has kubelet look after each data pod that is seen to lag behind, once for each change. Sentinels take nothing up while they
/// run.
pub fn settle(view: &View<'_>, desired: &Desired, plan: &mut Plan) {
    let members = view.bus.electorate.members;
    let served = desired.certificate.as_deref().unwrap_or("none");
    let awaited = format!("{members} Sentinels, certificate {served}");
    for (pod, node) in &view.observed.data {
        let seen = node.pod.as_ref().filter(|seen| !seen.terminating);
        let behind = node.agent.as_ref().is_some_and(|agent| {
            let counted = view.data(pod).and_then(|data| data.electorate);
            counted.is_some_and(|counted| counted != members) || shows_another(agent, desired)
        });
        if behind && seen.is_some_and(|seen| seen.awaits.as_ref() != Some(&awaited)) {
            plan.act(Action::Refresh {
                pod: pod.clone(),
                awaited: awaited.clone(),
            });
        }
    }
}

fn shows_another(agent: &AgentStatus, desired: &Desired) -> bool {
    let shown = agent.certificate.as_ref().zip(desired.certificate.as_ref());
    shown.is_some_and(|(shown, wanted)| shown != wanted)
}
