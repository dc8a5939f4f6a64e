//! The consumers of durable channels.

use super::condition::{Finding, kind};
use crate::plan::view::View;
use crate::protocol::{Consumers, Phase};

/// Whether events are consumed in time, as soon as the primary's agent has looked. Until then, without durable channels and with an
/// agent that is too old to look, there is nothing to say. Who is named changes, how far behind they are is not told.
pub fn consumed(view: &View<'_>) -> Option<Finding> {
    let (_, data) = view.reports().find(|(pod, data)| {
        view.topology.primary.as_deref() == Some(*pod) && data.phase == Phase::Leading
    })?;
    let consumers = data.consumers.as_ref()?;
    let lost = (!consumers.lost.is_empty()).then(|| {
        format!(
            "events were dropped within the last hour before these had acknowledged them: {}",
            named(&consumers.lost)
        )
    });
    let behind = (!consumers.behind.is_empty()).then(|| {
        format!(
            "an event is older than its channel keeps events, and is kept since these have not acknowledged it: {}",
            named(&consumers.behind)
        )
    });
    let reason = match (&lost, &behind) {
        (Some(_), _) => "EventsLost",
        (None, Some(_)) => "ConsumerBehind",
        (None, None) => {
            let message = "every consumer of a durable channel keeps up".to_owned();
            return Some(Finding::good(kind::EVENTS_CONSUMED, "Consumed", message));
        }
    };
    let message = [lost, behind].into_iter().flatten().collect::<Vec<_>>();
    Some(Finding::bad(
        kind::EVENTS_CONSUMED,
        reason,
        message.join("; "),
    ))
}

fn named(consumers: &Consumers) -> String {
    let first = consumers.first.iter();
    let names: Vec<String> = first
        .map(|consumer| format!("{} ({})", consumer.service, consumer.channel))
        .collect();
    let more = consumers.number.saturating_sub(names.len());
    let names = names.join(", ");
    if more == 0 {
        names
    } else {
        format!("{names} and {more} more")
    }
}
