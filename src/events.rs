//! Events for people, on the bus they speak of.

use crate::context::Context;
use crate::error::brief;
use cachebus_core::events::EventDraft;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};

/// Bytes that the API server takes of an Event's note; it refuses a longer one.
const NOTE: usize = 1024;

/// What stands at the end of a note that is cut. The condition of the same reason has the whole of it.
const CUT: &str = " …";

/// Publishes Events. One that cannot be published is logged and lost: nothing depends on it.
pub async fn publish<K>(context: &Context, object: &K, drafts: Vec<EventDraft>)
where
    K: Resource<DynamicType = ()>,
{
    let mut reference = object.object_ref(&());
    // An Event is of the object, not of one of its versions.
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
            note: Some(cut(note)),
            action,
            secondary: None,
        };
        // A recorder counts Events of one reason as one, and keeps the text of the first: "pod 0 is the primary" would stand there,
        // counted twice, when it is pod 1 by now. Each of ours is a transition and has a text of its own.
        let recorder = Recorder::new(context.client.clone(), context.reporter.clone());
        match recorder.publish(&event, &reference).await {
            Ok(()) => {}
            Err(error) if in_terminating_namespace(&error) => return,
            Err(error) => {
                let error = brief(&error);
                tracing::warn!(error, reason = event.reason, "an Event was not published");
            }
        }
    }
}

/// As much of a note as an Event holds.
fn cut(mut note: String) -> String {
    if note.len() > NOTE {
        note.truncate(note.floor_char_boundary(NOTE - CUT.len()));
        note.push_str(CUT);
    }
    note
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_where_an_event_holds_no_more() {
        let whole = "n".repeat(NOTE);
        assert_eq!(cut(whole.clone()), whole);
        // Two bytes a character, one of them on the edge.
        let cut = cut(format!("n{}", "é".repeat(NOTE)));
        assert!(cut.len() <= NOTE && cut.len() > NOTE - 8, "{}", cut.len());
        assert!(cut.starts_with("né") && cut.ends_with(CUT));
    }
}
