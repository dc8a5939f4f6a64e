//! The primary and its replicas.

use super::condition::{Finding, kind};
use crate::plan::view::View;
use crate::plan::{Plan, reason};
use crate::protocol::{DataStatus, Phase, ReplicationStatus};

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
            match flaw(view, pod, primary) {
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

/// The recorded primary, where it leads and no change is under way.
fn leading<'a>(view: &'a View<'_>) -> Option<(&'a str, &'a DataStatus)> {
    let primary = view.topology.primary.as_deref()?;
    let data = view.data(primary)?;
    (view.topology.target.is_none() && data.phase == Phase::Leading).then_some((primary, data))
}

fn flaw(view: &View<'_>, pod: &str, primary: Option<(&str, &DataStatus)>) -> Option<&'static str> {
    let Some(data) = view.data(pod) else {
        return Some("does not answer");
    };
    let Some((primary, feeding)) = primary else {
        return Some("has no primary to follow");
    };
    let names = &view.bus.names;
    match &data.phase {
        Phase::Down => Some("does not run"),
        Phase::Holding | Phase::Sealed => Some("waits to be told whom to follow"),
        Phase::Loading => Some("reads its files"),
        Phase::Leading => Some("leads too"),
        Phase::Following(host) if names.data_pod_of_host(host).as_deref() != Some(primary) => {
            Some("follows another")
        }
        Phase::Following(_) => match &data.replication {
            Some(own) if own.link_up && !own.syncing => {
                let silent = feeding.replication.as_ref().is_some_and(|fed| {
                    fed.replicas.iter().any(|replica| {
                        names.data_pod_of_host(&replica.host).as_deref() == Some(pod)
                            && !(replica.online && in_time(view, replica.lag))
                    })
                });
                silent.then_some("does not acknowledge what the primary sends")
            }
            _ => Some("is not in sync"),
        },
    }
}

/// Replicas that count for `min-replicas-to-write`.
fn fed(view: &View<'_>, replication: &ReplicationStatus) -> usize {
    let fed = replication.replicas.iter();
    fed.filter(|replica| replica.online && in_time(view, replica.lag))
        .count()
}

fn in_time(view: &View<'_>, lag: u64) -> bool {
    let most = view.bus.spec.replication.max_lag.get();
    most.is_none_or(|most| lag <= most.as_secs())
}
