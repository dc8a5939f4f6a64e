//! Events for people: one for each transition, none while nothing changes.

use crate::status::{HIBERNATED, kind};
use cachebus_api::CacheBusStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// An Event to be published on the bus's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// Something went wrong.
    pub warning: bool,
    /// Stable, one word: the condition's reason, or `PrimaryChosen`, `PrimaryChanged`.
    pub reason: String,
    /// What it is about: the condition's type, or `Primary`.
    pub action: String,
    /// For people.
    pub note: String,
}

/// Conditions that speak of the spec or the image rather than of a bus that starts: they warn from the first.
const WARN_AT_ONCE: [&str; 2] = [kind::VALID, kind::ENGINE_UP_TO_DATE];

/// The Events between two statuses: one for each condition that became true or ceased to be, and one for a change of the primary.
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
        transition(before, condition)
    });
    primary(previous, next)
        .into_iter()
        .chain(conditions)
        .collect()
}

fn transition(before: Option<&Condition>, now: &Condition) -> Option<EventDraft> {
    let was = before.map(|condition| condition.status.as_str());
    let at_once = WARN_AT_ONCE.contains(&now.type_.as_str());
    let warning = match (was, now.status.as_str()) {
        (Some("True"), "False" | "Unknown") => now.reason != HIBERNATED,
        (Some("False" | "Unknown"), "True") => false,
        (None, "False") => at_once,
        // Until now nobody could tell.
        (Some("Unknown"), "False") if at_once => true,
        _ => return None,
    };
    Some(EventDraft {
        warning,
        reason: now.reason.clone(),
        action: now.type_.clone(),
        note: now.message.clone(),
    })
}

fn primary(previous: &CacheBusStatus, next: &CacheBusStatus) -> Option<EventDraft> {
    let of = |status: &CacheBusStatus| status.topology.as_ref()?.primary.clone();
    let (was, now) = (of(previous), of(next)?);
    let epoch = next.topology.as_ref()?.epoch;
    let (reason, note) = match was {
        Some(was) if was == now => return None,
        Some(was) => (
            "PrimaryChanged",
            format!("{now} is the primary now, {was} was before (epoch {epoch})"),
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
