//! Hearing at once that the Sentinel names another primary.

use cachebus_admin::SentinelEvents;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// A subscription to the events of the Sentinel in this pod, for as long as it lasts.
#[derive(Debug)]
pub(super) struct Switches {
    /// Listens; the one task in it ends with the subscription, or with this value.
    listening: JoinSet<()>,
    heard: Arc<Notify>,
}

impl Switches {
    /// Listens from now on. What happened before the subscription began is not told by it, and counts as heard.
    pub(super) fn of(mut events: SentinelEvents) -> Self {
        let heard = Arc::new(Notify::new());
        heard.notify_one();
        let mut listening = JoinSet::new();
        let tell = Arc::clone(&heard);
        listening.spawn(async move {
            while let Some(event) = events.next().await {
                tracing::debug!(?event, "the Sentinel tells");
                tell.notify_one();
            }
            // Time to subscribe anew.
            tell.notify_one();
        });
        Self { listening, heard }
    }

    /// Whether nothing will be heard any more.
    pub(super) fn have_ended(&mut self) -> bool {
        self.listening.try_join_next().is_some() || self.listening.is_empty()
    }

    /// Returns when something was heard since the last time, or the subscription has ended.
    pub(super) async fn heard(&self) {
        self.heard.notified().await;
    }
}
