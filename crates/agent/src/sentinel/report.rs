//! What is told of a Sentinel pod.

use super::SentinelAgent;
use crate::snapshot::{Health, Snapshot};
use cachebus_core::protocol::{AgentStatus, NodeStatus, SentinelStatus};
use std::sync::Arc;
use tokio::time::Instant;

impl SentinelAgent {
    pub(super) fn publish(&self) {
        let running = self.running.as_ref();
        self.snapshots.send_replace(Some(Snapshot {
            status: self.status(),
            health: Health {
                looped: Instant::now(),
                answered: running.map(|running| running.answered),
                started: running.is_some_and(|running| running.up),
                unready: self.unready(),
            },
            info: running
                .filter(|running| running.up)
                .map(|running| running.info.clone())
                .unwrap_or_default(),
            streams: Arc::default(),
            keyspaces: Arc::default(),
        }));
    }

    pub(super) fn status(&self) -> AgentStatus {
        let running = self.running.as_ref();
        AgentStatus {
            pod: self.site.pod.clone(),
            uid: self.site.config.uid.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: Some(self.site.engine.clone()),
            crashes: self.supervisor.crashes(),
            acl_digest: self.users.digest(),
            certificate_expires: running.and_then(|running| running.certificate.expires),
            certificate: running.and_then(|running| running.served.clone()),
            node: NodeStatus::Sentinel(SentinelStatus {
                up: running.is_some_and(|running| running.up),
                run_id: running.and_then(|running| running.run_id.clone()),
                monitored: running
                    .filter(|running| running.up)
                    .and_then(|running| running.monitored.clone()),
            }),
        }
    }

    /// A Sentinel that answers is ready: those who look for the primary ask on where it knows none yet.
    fn unready(&self) -> Option<&'static str> {
        if self.stopping {
            return Some("the Sentinel is being stopped");
        }
        match &self.running {
            Some(running) if running.up => None,
            _ => Some("the Sentinel does not answer"),
        }
    }
}
