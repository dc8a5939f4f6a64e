//! The primary and its replicas.

use super::condition::{Finding, kind};
use crate::plan::health::{self, in_time, leading};
use crate::plan::view::View;
use crate::plan::{Plan, reason};
use crate::protocol::ReplicationStatus;

/// Reasons of a plan that keep a bus from having a primary; the first one explains it.
const NO_PRIMARY: [&str; 7] = [
    reason::WAITING_FOR_COPIES,
    reason::NO_DATASET,
    reason::SENTINELS_UNREACHABLE,
    reason::PRIMARY_UNREACHABLE,
    reason::TARGET_UNREACHABLE,
    reason::PRIMARY_LOST_DATA,
    reason::PRIMARY_FOLLOWS,
];

/// Whether there is a primary that takes writes.
pub fn available(view: &View<'_>, plan: &Plan) -> Finding {
    let Some((primary, data)) = leading(view) else {
        let blocked = plan
            .blocked
            .iter()
            .find(|blocked| NO_PRIMARY.contains(&blocked.reason))
            .or_else(|| plan.blocked.first());
        return match (blocked, &view.topology.target) {
            (_, Some(target)) if blocked.is_none_or(|why| !NO_PRIMARY.contains(&why.reason)) => {
                Finding::bad(
                    kind::AVAILABLE,
                    "ChangingPrimary",
                    format!("{} is being made the primary", target.pod),
                )
            }
            (Some(blocked), _) => {
                Finding::bad(kind::AVAILABLE, blocked.reason, blocked.message.clone())
            }
            (None, _) => Finding::bad(
                kind::AVAILABLE,
                "Starting",
                "no primary leads yet".to_owned(),
            ),
        };
    };
    if let Some(why) = &data.fenced {
        return Finding::bad(
            kind::AVAILABLE,
            "PrimaryFenced",
            format!("{primary} refuses writes: {why}"),
        );
    }
    let needed = view.bus.min_replicas_to_write();
    if data
        .replication
        .as_ref()
        .is_some_and(|replication| fed(view, replication) < needed as usize)
    {
        return Finding::bad(
            kind::AVAILABLE,
            "TooFewReplicas",
            format!("{primary} refuses writes: fewer than {needed} of its replicas are in sync"),
        );
    }
    Finding::good(
        kind::AVAILABLE,
        "PrimaryLeads",
        format!("{primary} takes writes"),
    )
}

/// The replicas that should exist, and what is wrong with each.
pub struct Replicas<'a> {
    well: u32,
    unwell: Vec<(&'a str, &'static str)>,
}

impl<'a> Replicas<'a> {
    pub fn of(view: &'a View<'a>) -> Self {
        let mut replicas = Self {
            well: 0,
            unwell: Vec::new(),
        };
        let primary = leading(view);
        for pod in &view.nodes {
            if view.topology.primary.as_deref() == Some(pod.as_str()) {
                continue;
            }
            match health::replica(view, pod, primary) {
                None => replicas.well += 1,
                Some(flaw) => replicas.unwell.push((pod, flaw)),
            }
        }
        replicas
    }

    /// How many are in sync.
    pub fn in_sync(&self) -> u32 {
        self.well
    }

    pub fn finding(&self, view: &View<'_>) -> Finding {
        if leading(view).is_none() {
            return Finding::bad(
                kind::REPLICATION_HEALTHY,
                "NoPrimary",
                "there is no primary to follow".to_owned(),
            );
        }
        if self.unwell.is_empty() {
            let message = match self.well {
                0 => "the spec asks for no replicas".to_owned(),
                well => format!("{well} replicas are in sync"),
            };
            return Finding::good(kind::REPLICATION_HEALTHY, "ReplicasInSync", message);
        }
        let message = self
            .unwell
            .iter()
            .map(|(pod, flaw)| format!("{pod} {flaw}"))
            .collect::<Vec<_>>()
            .join(", ");
        Finding::bad(kind::REPLICATION_HEALTHY, "ReplicasNotInSync", message)
    }
}

/// Replicas that count for `min-replicas-to-write`.
fn fed(view: &View<'_>, replication: &ReplicationStatus) -> usize {
    let fed = replication.replicas.iter();
    fed.filter(|replica| replica.online && in_time(view, replica.lag))
        .count()
}
