//! Whether every pod is there and runs what the spec asks for.

use super::condition::{Finding, kind};
use crate::plan::handover::{self, why};
use crate::plan::view::View;
use crate::plan::{Blocked, Plan, reason};
use cachebus_api::status::{Electorate, PendingRestart};

/// Whether every pod is there, is ready, and owes no restart.
pub fn complete(view: &View<'_>, plan: &Plan, pending: &[PendingRestart]) -> Finding {
    let missing: Vec<&Blocked> = plan
        .blocked
        .iter()
        .filter(|blocked| [reason::NAME_CONFLICT, reason::REJECTED].contains(&blocked.reason))
        .collect();
    if let Some(first) = missing.first() {
        let messages: Vec<&str> = missing
            .iter()
            .map(|blocked| blocked.message.as_str())
            .collect();
        return Finding::bad(kind::ROLLOUT_COMPLETE, first.reason, messages.join("; "));
    }
    if let Some(finding) = under_way(view, plan) {
        return finding;
    }
    let data = view.nodes.iter().map(|pod| (pod, &view.observed.data));
    let sentinels = view
        .sentinels
        .iter()
        .map(|pod| (pod, &view.observed.sentinels));
    let unready: Vec<String> = data
        .chain(sentinels)
        .filter_map(|(pod, nodes)| {
            let seen = nodes.get(pod).and_then(|node| node.pod.as_ref());
            match seen {
                Some(seen) if seen.ready && !seen.terminating => None,
                Some(seen) => Some(match &seen.trouble {
                    Some(trouble) => format!("{pod} ({trouble})"),
                    None => pod.clone(),
                }),
                None => Some(format!("{pod} (does not exist)")),
            }
        })
        .collect();
    if !unready.is_empty() {
        return Finding::bad(
            kind::ROLLOUT_COMPLETE,
            "PodsNotReady",
            format!("not ready: {}", unready.join(", ")),
        );
    }
    if !pending.is_empty() {
        let owed: Vec<String> = pending
            .iter()
            .map(|owed| format!("{} ({})", owed.pod, owed.reason))
            .collect();
        return Finding::bad(
            kind::ROLLOUT_COMPLETE,
            "RestartPending",
            format!("a restart is owed to {}", owed.join(", ")),
        );
    }
    Finding::good(
        kind::ROLLOUT_COMPLETE,
        "RolledOut",
        "every pod is ready and runs what the spec asks for".to_owned(),
    )
}

/// What is said of a change of the pods that is under way, or cannot go on.
fn under_way(view: &View<'_>, plan: &Plan) -> Option<Finding> {
    let finding = |reason, message| Some(Finding::bad(kind::ROLLOUT_COMPLETE, reason, message));
    let told = [
        reason::SCALING_SENTINELS,
        reason::ROLLING_OUT,
        reason::ROLLOUT_HALTED,
        reason::PRIMARY_BEYOND_REPLICAS,
        reason::VOLUME_LOST,
        reason::VOLUME_UNKNOWN,
        reason::ONLY_COPY,
        reason::VOLUMES_GROWING,
    ];
    let mut blocked = plan.blocked.iter();
    if let Some(blocked) = blocked.find(|blocked| told.contains(&blocked.reason)) {
        return finding(blocked.reason, blocked.message.clone());
    }
    let topology = &view.topology;
    if let Some(handover) = handover::recorded(view) {
        let primary = topology.primary.as_deref().unwrap_or_default();
        let message = |what| format!("{primary} hands the lead over, {what}");
        match handover.reason.as_str() {
            why::ROLLOUT => {
                let what = "to run what the spec asks for after that";
                return finding(reason::ROLLING_OUT, message(what));
            }
            why::SCALE_DOWN => {
                let what = "since it is one pod more than the spec asks for";
                return finding("ScalingDown", message(what));
            }
            _ => {}
        }
    }
    if let Some(restart) = &topology.restart {
        let message = format!("{} is being restarted ({})", restart.pod, restart.reason);
        return finding(reason::ROLLING_OUT, message);
    }
    // A pass that orders something else takes no step in this.
    let Electorate { members, pods } = view.bus.electorate;
    let wanted = view.bus.spec.sentinel.replicas;
    let message = format!("{members} Sentinels count, {wanted} are asked for");
    ((members, pods) != (wanted, wanted))
        .then(|| Finding::bad(kind::ROLLOUT_COMPLETE, reason::SCALING_SENTINELS, message))
}
