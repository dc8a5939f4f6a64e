//! Keeps what this consumer holds from being claimed by others.

use std::sync::Arc;
use std::time::Duration;

use super::lanes::{Ids, Lanes};
use crate::events::group::Group;

/// Says again and again that what is held is being worked on. Never returns.
pub(super) async fn keep(group: Arc<Group>, lanes: Arc<Lanes>) {
    let every = group.options().claim_after / 3;
    loop {
        tokio::time::sleep(every).await;
        for (channel, ids) in lists(lanes.held()) {
            if let Err(error) = group.hold(channel, &ids, Duration::ZERO).await {
                tracing::warn!(%error, "held events may be claimed by others");
            }
        }
    }
}

/// Lets others claim at once what is left.
pub(super) async fn give_back(group: &Group, lanes: &Lanes) {
    for (channel, ids) in lists(lanes.held()) {
        if let Err(error) = group.hold(channel, &ids, group.options().claim_after).await {
            tracing::warn!(%error, "events that were not handled wait until they are claimed");
        }
    }
}

fn lists(ids: Ids) -> impl Iterator<Item = (usize, Vec<String>)> {
    ids.into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(channel, ids)| (channel, ids.into_iter().collect()))
}
