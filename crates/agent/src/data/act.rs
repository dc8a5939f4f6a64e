//! Moving a running server between its roles.

use super::DataAgent;
use crate::error::AgentError;
use cachebus_admin::{ClientKind, Server};
use cachebus_core::protocol::Phase;

impl DataAgent {
    /// Makes the running server the primary. The marker says so already.
    pub(super) async fn lead(&mut self) -> Result<(), AgentError> {
        if self.phase() == Phase::Leading {
            return Ok(());
        }
        tracing::info!("leading from now on");
        self.set_priority(self.site.config.replica_priority).await?;
        self.server()?.promote().await?;
        if let Some(running) = &mut self.running {
            running.leads_by_decision();
        }
        Ok(())
    }

    /// Makes the running server follow `pod`.
    pub(super) async fn follow(&mut self, pod: &str, priority: u32) -> Result<(), AgentError> {
        if self.phase() == Phase::Following(pod.to_owned()) {
            return Ok(());
        }
        tracing::info!(primary = pod, priority, "following from now on");
        self.set_priority(priority).await?;
        let primary = self.site.data_address(pod);
        self.server()?.replica_of(&primary).await?;
        Ok(())
    }

    /// Ends the connections of those who believe that they talk to the primary, so that they look for it anew. Replicas and
    /// the agent itself keep theirs.
    pub(super) async fn bid_farewell(&mut self) -> Result<(), AgentError> {
        if !self
            .running
            .as_ref()
            .is_some_and(|running| running.farewell.is_due())
        {
            return Ok(());
        }
        let server = self.server()?;
        let normal = server.client_kill_kind(ClientKind::Normal).await?;
        let subscribed = server.client_kill_kind(ClientKind::PubSub).await?;
        tracing::info!(
            normal,
            subscribed,
            "connections to a primary that is none any more ended"
        );
        if let Some(running) = &mut self.running {
            running.farewell.is_done();
        }
        Ok(())
    }

    pub(super) async fn set_priority(&mut self, priority: u32) -> Result<(), AgentError> {
        if self.running.as_ref().map(|running| running.priority) == Some(priority) {
            return Ok(());
        }
        self.server()?
            .config_set(&[("replica-priority", &priority.to_string())])
            .await?;
        if let Some(running) = &mut self.running {
            running.priority = priority;
        }
        Ok(())
    }

    /// The way to the running server; an error where there is none at this moment.
    pub(super) fn server(&self) -> Result<&Server, AgentError> {
        self.running
            .as_ref()
            .and_then(|running| running.connection.as_ref())
            .filter(|server| !server.is_closed())
            .ok_or(AgentError::NotConnected)
    }
}
