//! Events for people, on the bus they speak of.

use crate::context::Context;
use crate::error::brief;
use cachebus_core::events::EventDraft;
use kube::Resource;
use kube::runtime::events::{Event, EventType};

/// Publishes Events. One that cannot be published is logged and lost: nothing depends on it.
pub async fn publish<K>(context: &Context, object: &K, drafts: Vec<EventDraft>)
where
    K: Resource<DynamicType = ()>,
{
    let mut reference = object.object_ref(&());
    // Else the same Event of two versions of the object would count as two.
    reference.resource_version = None;
    for draft in drafts {
        let EventDraft {
            warning,
            reason,
            action,
            note,
        } = draft;
        let event = Event {
            type_: if warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason,
            note: Some(note),
            action,
            secondary: None,
        };
        match context.recorder.publish(&event, &reference).await {
            Ok(()) => {}
            Err(error) if in_terminating_namespace(&error) => return,
            Err(error) => {
                let error = brief(&error);
                tracing::warn!(error, reason = event.reason, "an Event was not published");
            }
        }
    }
}

/// Nothing can be created in a namespace that is being deleted, and nobody will read of its buses.
fn in_terminating_namespace(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
}
