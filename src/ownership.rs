//! Whose an object is that has the name of one of ours.

use cachebus_core::bus::Bus;
use cachebus_core::names::BUS_LABEL;
use cachebus_core::plan::{Blocked, reason};
use kube::api::{DeleteParams, ObjectMeta, Preconditions};

/// Deletes the object of this UID and none other.
pub fn only(uid: &str) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    }
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The bus's own, or one that bears its labels and has no controller, as a restored backup does.
    Ours,
    /// Somebody else's, named for people. It is never written.
    Foreign(String),
}

/// Whose an object is, by its metadata.
pub fn owner(bus: &Bus, metadata: &ObjectMeta) -> Owner {
    owner_of(bus.names.bus(), &bus.uid, metadata)
}

/// The same for the bus of this name and UID.
pub fn owner_of(bus: &str, uid: &str, metadata: &ObjectMeta) -> Owner {
    let controller = metadata
        .owner_references
        .iter()
        .flatten()
        .find(|reference| reference.controller == Some(true));
    match controller {
        Some(controller) if controller.uid == uid => Owner::Ours,
        Some(controller) if controller.kind == "CacheBus" && controller.name == bus => {
            Owner::Foreign(format!(
                "an earlier CacheBus {} (UID {}), whose objects are being deleted",
                controller.name, controller.uid
            ))
        }
        Some(controller) => Owner::Foreign(format!("{} {}", controller.kind, controller.name)),
        None => {
            let labelled = metadata
                .labels
                .as_ref()
                .and_then(|labels| labels.get(BUS_LABEL))
                .is_some_and(|name| name == bus);
            if labelled {
                Owner::Ours
            } else {
                Owner::Foreign(
                    "somebody else: it has no controller and does not bear the bus's labels"
                        .to_owned(),
                )
            }
        }
    }
}

/// That the name of one of the bus's objects is taken.
pub fn name_conflict(kind: &str, name: &str, owner: &str) -> Blocked {
    Blocked {
        reason: reason::NAME_CONFLICT,
        message: format!(
            "{kind} {name} belongs to {owner}; delete it, or give the bus another name"
        ),
    }
}
