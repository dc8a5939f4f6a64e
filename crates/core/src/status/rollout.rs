//! Whether every pod is there and runs what the spec asks for.

use super::condition::{Finding, kind};
use crate::plan::view::View;
use crate::plan::{Blocked, Plan, reason};
use cachebus_api::status::PendingRestart;

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
    let surplus = view.topology.primary.as_deref().filter(|primary| {
        let ordinal = view.bus.names.data_ordinal(primary);
        ordinal.is_some_and(|ordinal| ordinal > view.bus.spec.replicas)
    });
    if let Some(primary) = surplus {
        return Finding::bad(
            kind::ROLLOUT_COMPLETE,
            "PrimaryBeyondReplicas",
            format!(
                "{primary} is one pod more than the spec asks for and stays while it is the primary"
            ),
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
