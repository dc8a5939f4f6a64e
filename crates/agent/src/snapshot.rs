//! What the agent last knew, for those who ask.

use crate::error::AgentError;
use cachebus_admin::Error;
use cachebus_core::protocol::AgentStatus;
use cachebus_core::streams::Watch;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// After this long without a sign of life the agent, or a running server that does not answer, counts as hung.
pub(crate) const HUNG: Duration = Duration::from_secs(30);

/// After this long without an answer the last one says nothing any more.
pub(crate) const STALE: Duration = Duration::from_secs(3);

/// Whether a failed call leaves open if the server is alive. One that refuses a login or a certificate is, and starting it
/// again would make a blunder an outage.
pub(crate) fn is_silence(error: &AgentError) -> bool {
    matches!(
        error,
        AgentError::NotConnected
            | AgentError::Engine(
                Error::Connect { .. } | Error::Timeout { .. } | Error::Disconnected { .. }
            )
    )
}

/// One state of the agent, as its loop published it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) status: AgentStatus,
    pub(crate) health: Health,
    /// `INFO` of the server, line by line; empty while it does not answer.
    pub(crate) info: Arc<BTreeMap<String, String>>,
    /// Streams of durable channels, by channel; empty where the pod does not lead.
    pub(crate) streams: Arc<BTreeMap<String, Watch>>,
    /// Keys by keyspace, as they were counted last; empty where the pod does not lead.
    pub(crate) keyspaces: Arc<BTreeMap<String, u64>>,
}

/// What probes ask.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// When the loop came round.
    pub(crate) looped: Instant,
    /// When the running server last answered, or was started; `None` while none is meant to run.
    pub(crate) answered: Option<Instant>,
    /// The first start is done.
    pub(crate) started: bool,
    /// Why the pod is not ready, where it is not.
    pub(crate) unready: Option<&'static str>,
}

impl Health {
    /// Why the container is to be restarted, if it is.
    pub(crate) fn hung(&self) -> Option<&'static str> {
        if self.looped.elapsed() > HUNG {
            Some("the agent's loop stands still")
        } else if self
            .answered
            .is_some_and(|answered| answered.elapsed() > HUNG)
        {
            Some("the server runs and does not answer")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_or_a_server_that_stands_still_is_hung_after_thirty_seconds() {
        let mut health = Health {
            looped: Instant::now(),
            answered: Some(Instant::now()),
            started: true,
            unready: None,
        };
        assert_eq!(health.hung(), None);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(health.hung(), Some("the agent's loop stands still"));
        health.looped = Instant::now();
        assert_eq!(health.hung(), Some("the server runs and does not answer"));
        health.answered = None;
        assert_eq!(health.hung(), None);
    }
}
