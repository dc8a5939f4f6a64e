//! What is told of a data pod.

use super::DataAgent;
use super::running::Running;
use crate::snapshot::{Health, Snapshot};
use cachebus_admin::Info;
use cachebus_core::fence::DIRECTIVE;
use cachebus_core::protocol::{
    AgentStatus, DataStatus, FedReplica, NodeStatus, Phase, ReplicationStatus,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

impl DataAgent {
    pub(super) fn publish(&self) {
        self.snapshots.send_replace(Some(Snapshot {
            status: self.status(),
            health: Health {
                looped: Instant::now(),
                answered: self.running.as_ref().map(|running| running.answered),
                started: self.started,
                unready: self.unready(),
            },
            info: self
                .info()
                .map(|info| Arc::new(info.raw.clone()))
                .unwrap_or_default(),
            streams: self
                .running
                .as_ref()
                .map(|running| running.led.streams.watches())
                .unwrap_or_default(),
            keyspaces: self
                .running
                .as_ref()
                .map(|running| running.led.counts.keys())
                .unwrap_or_default(),
        }));
    }

    pub(super) fn phase(&self) -> Phase {
        match &self.running {
            Some(running) => running.phase(&self.site.names),
            None if self.holding => Phase::Holding,
            None => Phase::Down,
        }
    }

    pub(super) fn link_up(&self) -> bool {
        self.info().is_some_and(|info| {
            let upstream = info.replication.upstream.as_ref();
            upstream.is_some_and(|upstream| upstream.up)
        })
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
            node: NodeStatus::Redis(Box::new(self.data_status())),
        }
    }

    fn data_status(&self) -> DataStatus {
        let running = self.running.as_ref();
        DataStatus {
            phase: self.phase(),
            // One of another bus too: the choice among the copies that a deleted bus left behind depends on it.
            marker: self.volume.marker().cloned(),
            keys: running.and_then(Running::keys),
            dataset: self.question(&[]).dataset,
            replication: self.replication(),
            handover: self.handover.clone(),
            fenced: self.fenced().cloned(),
            electorate: u32::try_from(self.site.config.sentinels.len()).ok(),
            set_aside: self.volume.has_set_aside(),
            config: self.told_config(),
            refused_settings: running.map(Running::refused).unwrap_or_default(),
            library: running.and_then(|running| running.led.library.status().cloned()),
            consumers: running.and_then(|running| running.led.streams.status()),
            flush: self.flush_status(),
        }
    }

    /// Replication as the server last told, once it has loaded.
    pub(super) fn replication(&self) -> Option<ReplicationStatus> {
        let running = self.running.as_ref()?;
        let info = running.info.as_ref().filter(|info| !info.loading)?;
        Some(replication(info, running.was_in_sync()))
    }

    /// The settings to compare with the spec: not the one by which the server is fenced or bound to its replicas.
    fn told_config(&self) -> BTreeMap<String, String> {
        let mut config = self
            .running
            .as_ref()
            .map(|running| running.config.clone())
            .unwrap_or_default();
        if !self.takes_writes_as_asked() {
            config.remove(DIRECTIVE);
        }
        config
    }

    fn unready(&self) -> Option<&'static str> {
        if self.stopping {
            return Some("the server is being stopped");
        }
        match self.phase() {
            Phase::Down | Phase::Unknown => Some("the server does not answer"),
            Phase::Holding => Some("held: Sentinels name this pod and its dataset is gone"),
            Phase::Loading => Some("the server reads its files"),
            Phase::Sealed => Some("sealed: nobody has said who the primary is"),
            Phase::Following(_) if !self.link_up() => Some("the link to the primary is down"),
            Phase::Leading | Phase::Following(_) if !self.users.begun() => {
                Some("the users have not been brought in line yet")
            }
            Phase::Leading | Phase::Following(_) => None,
        }
    }

    fn info(&self) -> Option<&Info> {
        self.running.as_ref()?.info.as_ref()
    }
}

fn replication(info: &Info, was_in_sync: bool) -> ReplicationStatus {
    let replication = &info.replication;
    let upstream = replication.upstream.as_ref();
    ReplicationStatus {
        offset: replication.offset,
        link_up: upstream.is_some_and(|upstream| upstream.up),
        was_in_sync: upstream.is_some() && was_in_sync,
        syncing: upstream.is_some_and(|upstream| upstream.sync_in_progress),
        replicas: replication
            .replicas
            .iter()
            .map(|replica| FedReplica {
                host: replica.address.host.clone(),
                online: replica.state == "online",
                lag: replica.lag.map_or(u64::MAX, |lag| lag.as_secs()),
            })
            .collect(),
    }
}
