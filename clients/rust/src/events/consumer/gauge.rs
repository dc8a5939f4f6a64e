//! Tells the metrics how far the group is behind.

use std::sync::Arc;

use super::tally::Tally;
use crate::events::backlog::backlog;
use crate::events::group::Group;

/// Measures again and again, also while all handlers are busy. Never returns.
pub(super) async fn measure(group: Arc<Group>, tally: Arc<Tally>) {
    loop {
        tokio::time::sleep(group.options().measure_every).await;
        for (channel, spec) in group.channels().iter().enumerate() {
            match backlog(group.connection(), spec).await {
                Ok(backlog) => tally.backlog(channel, &backlog),
                Err(error) => {
                    tracing::debug!(channel = spec.channel, %error, "its backlog is not known");
                }
            }
        }
    }
}
