//! Events for people, on the bus they speak of.

use crate::context::Context;
use crate::error::chain;
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
    for EventDraft {
        warning,
        reason,
        action,
        note,
    } in drafts
    {
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
        if let Err(error) = context.recorder.publish(&event, &reference).await {
            tracing::warn!(
                error = chain(&error),
                reason = event.reason,
                "an Event was not published"
            );
        }
    }
}
