//! Events for people: one for each transition, none while nothing changes.

use crate::plan::reason;
use crate::status::{HIBERNATED, PLANNED, kind};
use cachebus_api::CacheBusStatus;
use cachebus_api::status::{Flush, Handover, Restart, Topology};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// An Event to be published on the bus's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// Something went wrong.
    pub warning: bool,
    /// Stable, one word: the condition's reason, or `PrimaryChosen`, `PrimaryChanged`, `SwitchedOver`, `SwitchoverFailed`,
    /// `SwitchoverRefused`, `Flushed`, `FlushFailed`, `FlushRefused`, `Restarting`, `ReplacingVolume`.
    pub reason: String,
    /// What it is about: the condition's type, or `Primary`, `Flush`, `Restart`.
    pub action: String,
    /// For people.
    pub note: String,
}

/// Conditions that speak of the spec or the image, or are there only when something is wrong, rather than of a bus that starts:
/// they warn from the first.
const WARN_AT_ONCE: [&str; 5] = [
    kind::VALID,
    kind::ENGINE_UP_TO_DATE,
    kind::MEMORY_SUFFICIENT,
    kind::FILES_READABLE,
    kind::DURABLE_EVENTS_SAFE,
];

/// What the operator does by plan is no warning.
const PLANNED_REASONS: [&str; 5] = [
    reason::ROLLING_OUT,
    reason::VOLUMES_GROWING,
    reason::SCALING_SENTINELS,
    "ScalingDown",
    HIBERNATED,
];

/// What a person has to mend. It is told of anew when it is something else, though the condition was false before, too.
const FOR_PEOPLE: [&str; 9] = [
    reason::ROLLOUT_HALTED,
    reason::ONLY_COPY,
    reason::VOLUME_LOST,
    reason::VOLUME_UNKNOWN,
    reason::NO_DATASET,
    reason::RESTORE_FAILED,
    reason::AUTHORITY_LOST,
    reason::NAME_CONFLICT,
    reason::REJECTED,
];

/// For so long after a planned change of the primary, replicas that are not in sync are on their way. Seconds.
const SETTLING_S: i64 = 5;

/// The Events between two statuses: one for each condition that became true or ceased to be, or calls for a person for another
/// reason than before, one for a change of the primary or one that failed, one for keyspaces that were emptied, and one for a restart that was decided.
///
/// What nobody can tell (`Unknown`) is not true. A condition that is false from the first makes an Event too; as a rule it is no
/// warning, since a bus that starts is not ready yet.
#[must_use]
pub fn between(previous: &CacheBusStatus, next: &CacheBusStatus) -> Vec<EventDraft> {
    let conditions = next.conditions.iter().filter_map(|condition| {
        let before = previous
            .conditions
            .iter()
            .find(|known| known.type_ == condition.type_);
        let expected = is_settling(next, condition) || is_starting(previous, condition);
        transition(before, condition, expected)
    });
    let changes = [
        primary(previous, next),
        failure(previous, next),
        flush(previous, next),
        restart(previous, next),
    ];
    changes.into_iter().flatten().chain(conditions).collect()
}

/// The Event of a request for another primary from which nothing comes.
#[must_use]
pub fn refused(asked: &str, why: &str) -> EventDraft {
    EventDraft {
        warning: true,
        reason: "SwitchoverRefused".to_owned(),
        action: "Primary".to_owned(),
        note: format!("the primary does not change to {asked}: {why}"),
    }
}

/// The Event of a request to empty keyspaces from which nothing comes.
#[must_use]
pub fn flush_refused(asked: &str, why: &str) -> EventDraft {
    EventDraft {
        warning: true,
        reason: "FlushRefused".to_owned(),
        action: "Flush".to_owned(),
        note: format!("nothing of {asked} is flushed: {why}"),
    }
}

fn transition(before: Option<&Condition>, now: &Condition, expected: bool) -> Option<EventDraft> {
    let was = before.map(|condition| condition.status.as_str());
    let at_once = WARN_AT_ONCE.contains(&now.type_.as_str());
    let warning = match (was, now.status.as_str()) {
        (Some("True"), "False" | "Unknown") => {
            !expected && !PLANNED_REASONS.contains(&now.reason.as_str())
        }
        (Some("False" | "Unknown"), "True") => false,
        (None, "False") => at_once,
        // Until now nobody could tell.
        (Some("Unknown"), "False") if at_once => true,
        (Some("False"), "False") if before.is_some_and(|before| calls_anew(before, now)) => true,
        _ => return None,
    };
    Some(EventDraft {
        warning,
        reason: now.reason.clone(),
        action: now.type_.clone(),
        note: now.message.clone(),
    })
}

/// Whether a person is called for another reason than before. `Ready` repeats what the other conditions say.
fn calls_anew(before: &Condition, now: &Condition) -> bool {
    match now.type_.as_str() {
        kind::VALID => (&before.reason, &before.message) != (&now.reason, &now.message),
        kind::READY => false,
        _ => before.reason != now.reason && FOR_PEOPLE.contains(&now.reason.as_str()),
    }
}

/// Whether a condition became what it is because the primary has just been changed by plan.
fn is_settling(status: &CacheBusStatus, condition: &Condition) -> bool {
    let planned = status.last_failover.as_ref();
    let planned = planned.filter(|failover| PLANNED.contains(&failover.reason.as_str()));
    planned.is_some_and(|failover| {
        let after =
            condition.last_transition_time.0.as_second() - failover.finished_at.0.as_second();
        condition.type_ == kind::REPLICATION_HEALTHY && (0..=SETTLING_S).contains(&after)
    })
}

/// Whether a condition became what it is because pods start, which are given their users and settings then.
fn is_starting(previous: &CacheBusStatus, condition: &Condition) -> bool {
    let mut conditions = previous.conditions.iter();
    let ready = conditions.any(|known| known.type_ == kind::READY && known.status == "True");
    let given = [kind::USERS_IN_SYNC, kind::CONFIGURATION_IN_SYNC];
    !ready && given.contains(&condition.type_.as_str())
}

fn primary(previous: &CacheBusStatus, next: &CacheBusStatus) -> Option<EventDraft> {
    let of = |status: &CacheBusStatus| status.topology.as_ref()?.primary.clone();
    let (was, now) = (of(previous), of(next)?);
    let epoch = next.topology.as_ref()?.epoch;
    let failover = next
        .last_failover
        .as_ref()
        .filter(|failover| previous.last_failover.as_ref() != Some(failover));
    let told = failover.map_or(String::new(), |failover| match failover.write_gap_ms {
        Some(gap) => format!(": {}, no write was taken for {gap} ms", failover.reason),
        None => format!(": {}", failover.reason),
    });
    let planned = failover.is_some_and(|failover| PLANNED.contains(&failover.reason.as_str()));
    let (reason, note) = match was {
        Some(was) if was == now => return None,
        Some(was) => (
            if planned {
                "SwitchedOver"
            } else {
                "PrimaryChanged"
            },
            format!("{now} is the primary now, {was} was before (epoch {epoch}){told}"),
        ),
        None => (
            "PrimaryChosen",
            format!("{now} is the primary (epoch {epoch})"),
        ),
    };
    Some(EventDraft {
        warning: false,
        reason: reason.to_owned(),
        action: "Primary".to_owned(),
        note,
    })
}

/// A planned change of the primary that failed: it is where it was.
fn failure(previous: &CacheBusStatus, next: &CacheBusStatus) -> Option<EventDraft> {
    let failed = |status: &CacheBusStatus| -> Option<Handover> {
        let handover = status.topology.as_ref()?.handover.clone()?;
        handover.failed.is_some().then_some(handover)
    };
    let handover = failed(next).filter(|now| failed(previous).as_ref() != Some(now))?;
    let to = handover.to.as_deref().unwrap_or("another pod");
    let why = handover.failed.unwrap_or_default();
    Some(EventDraft {
        warning: true,
        reason: "SwitchoverFailed".to_owned(),
        action: "Primary".to_owned(),
        note: format!(
            "{} to {to} failed, the primary is the one before: {why}",
            handover.reason
        ),
    })
}

/// Keyspaces that were emptied, or could not be.
fn flush(previous: &CacheBusStatus, next: &CacheBusStatus) -> Option<EventDraft> {
    let ended = |status: &CacheBusStatus| -> Option<Flush> {
        let flush = status.flush.clone()?;
        flush.finished_at.is_some().then_some(flush)
    };
    let flush = ended(next).filter(|now| ended(previous).as_ref() != Some(now))?;
    let keyspaces = flush.keyspaces.join(", ");
    let (reason, note) = match (&flush.failed, flush.removed) {
        (Some(why), _) => (
            "FlushFailed",
            format!("{keyspaces} could not be flushed: {why}"),
        ),
        (None, removed) => (
            "Flushed",
            format!("flushed {keyspaces}: {} keys removed", removed.unwrap_or(0)),
        ),
    };
    Some(EventDraft {
        warning: flush.failed.is_some(),
        reason: reason.to_owned(),
        action: "Flush".to_owned(),
        note,
    })
}

fn restart(previous: &CacheBusStatus, next: &CacheBusStatus) -> Option<EventDraft> {
    let of = |status: &CacheBusStatus| -> Option<Box<Restart>> {
        let topology: &Topology = status.topology.as_ref()?;
        topology.restart.clone()
    };
    let restart = of(next).filter(|now| of(previous).as_ref() != Some(now))?;
    let Restart { pod, reason, .. } = &*restart;
    let (word, note) = match restart.claim {
        None => ("Restarting", format!("{pod} is restarted: {reason}")),
        Some(_) => (
            "ReplacingVolume",
            format!("{pod} comes back with an empty volume, to be filled by the primary: {reason}"),
        ),
    };
    Some(EventDraft {
        warning: false,
        reason: word.to_owned(),
        action: "Restart".to_owned(),
        note,
    })
}
