//! A whole bus that runs, and what is asked of it.

use crate::bus::{Bus, UID};
use crate::pod::{Pod, data, until};
use crate::writers::Access;
use cachebus_admin::Server;
use cachebus_core::handover::refusal;
use cachebus_core::names::Component;
use cachebus_core::protocol::{
    AgentStatus, HandoverCause, HandoverOrder, HandoverOutcome, MonitorOrder, Phase, Refusal,
    TopologyOrder,
};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A Sentinel takes no replica for fit of which it has heard nothing for three periods of its INFO, here of a second.
const UNHEARD: Duration = Duration::from_secs(3);

/// A bus that runs.
pub struct Running<'a> {
    pub bus: &'a Bus,
    pub access: Access,
    pub nodes: Vec<Option<Pod<'a>>>,
    pub sentinels: Vec<Option<Pod<'a>>>,
}

impl<'a> Running<'a> {
    /// Three data nodes, the first of which leads, and three Sentinels that know all of them.
    pub async fn start(bus: &'a Bus) -> Self {
        let pods =
            |component| (0..3).map(move |ordinal| Some(Pod::start_nth(bus, component, ordinal)));
        let running = Self {
            bus,
            access: Access::to(bus),
            nodes: pods(Component::Redis).collect(),
            sentinels: pods(Component::Sentinel).collect(),
        };
        for ordinal in 0..3 {
            running.node(ordinal).phase(Phase::Sealed).await;
            let order = TopologyOrder {
                uid: UID.to_owned(),
                primary: "b-redis-0".to_owned(),
                epoch: 1,
                allow_empty: ordinal == 0,
                instead_of: None,
            };
            let (code, body) = running.node(ordinal).put("/v1/topology", &order).await;
            assert_eq!(code, 200, "{body}");
        }
        running.in_sync(&[1, 2], "b-redis-0").await;
        for sentinel in running.sentinels.iter().flatten() {
            running.monitor(sentinel).await;
        }
        running.known_to_all("b-redis-0").await;
        running
    }

    pub fn node(&self, ordinal: usize) -> &Pod<'a> {
        self.nodes[ordinal].as_ref().unwrap()
    }

    pub async fn monitor(&self, sentinel: &Pod<'_>) {
        let order = MonitorOrder {
            uid: UID.to_owned(),
            primary: "b-redis-0".to_owned(),
            instead_of: None,
            config_epoch: 0,
            quorum: self.bus.config.quorum,
            settings: self.bus.config.monitor.clone(),
            peers: Vec::new(),
            forget: Vec::new(),
        };
        until(|| async {
            let (code, _) = sentinel.put("/v1/monitor", &order).await;
            (code == 200).then_some(())
        })
        .await;
    }

    /// Replicas have come to this primary, and are candidates.
    pub async fn in_sync(&self, replicas: &[usize], primary: &str) {
        for ordinal in replicas {
            self.node(*ordinal)
                .status_with(|status| {
                    let data = data(status);
                    let linked = data.replication.as_ref().is_some_and(|seen| seen.link_up);
                    let whole = data.marker.as_ref().is_some_and(|marker| marker.complete);
                    data.phase == Phase::Following(primary.to_owned()) && linked && whole
                })
                .await;
        }
    }

    /// Every Sentinel names this pod and knows two others.
    pub async fn known_to_all(&self, primary: &str) {
        let host = self.bus.names.pod_fqdn(Component::Redis, primary);
        for ordinal in 0..3 {
            if self.sentinels[ordinal].is_none() {
                continue;
            }
            until(|| async {
                let sentinel = self.access.sentinel(ordinal).await.ok()?;
                let known = sentinel.master(&self.bus.config.master_name).await.ok()?;
                (known.address.host == host && known.num_other_sentinels == 2).then_some(())
            })
            .await;
        }
    }

    /// Whom the first Sentinel names, once it is not this pod.
    pub async fn named_other_than(&self, pod: &str) -> String {
        let name = &self.bus.config.master_name;
        until(|| async {
            let sentinel = self.access.sentinel(0).await.ok()?;
            let host = sentinel.primary_address(name).await.ok()??.host;
            let named = self.bus.names.data_pod_of_host(&host);
            named.filter(|named| named != pod)
        })
        .await
    }

    /// Waits until a Sentinel takes no replica for fit any more.
    pub async fn nobody_is_fit(&self, ordinal: usize) {
        let name = &self.bus.config.master_name;
        let unheard = async {
            let sentinel = self.access.sentinel(ordinal).await.unwrap();
            loop {
                let replicas = sentinel.replicas(name).await.unwrap();
                if replicas.iter().all(|known| known.info_refresh > UNHEARD) {
                    return;
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(UNHEARD * 5, unheard).await.unwrap();
    }

    /// Orders until one is judged by what a majority of Sentinels says: on a busy machine they may answer too late. Returns
    /// how often, too.
    pub async fn obeyed(&self, from: usize, to: Option<&str>) -> (AgentStatus, u64) {
        for tries in 1..=5 {
            let (code, body) = self.order(from, to).await;
            assert_eq!(code, 200, "{body}");
            let status: AgentStatus = serde_json::from_str(&body).unwrap();
            let outcome = &data(&status).handover.as_ref().unwrap().outcome;
            match outcome {
                HandoverOutcome::Failed(why) if why.reason == refusal::NO_MAJORITY => {}
                _ => return (status, tries),
            }
        }
        panic!("no majority of the Sentinels ever answers");
    }

    /// Full synchronisations that the nodes have served.
    pub async fn full_syncs(&self) -> u64 {
        let mut all = 0;
        for ordinal in 0..3 {
            let node: Server = self.access.node(ordinal).await.unwrap();
            let info = node.info().await.unwrap();
            all += info.raw["sync_full"].parse::<u64>().unwrap();
        }
        all
    }

    pub async fn order(&self, from: usize, to: Option<&str>) -> (u16, String) {
        let known = data(&self.node(from).status().await).marker.clone();
        let order = HandoverOrder {
            uid: UID.to_owned(),
            epoch: known.map_or(1, |marker| marker.epoch.max(marker.fence)),
            to: to.map(str::to_owned),
        };
        self.node(from).put("/v1/handover", &order).await
    }

    pub async fn refused(&self, from: usize, to: Option<&str>) -> String {
        let (code, body) = self.order(from, to).await;
        assert_eq!(code, 409, "{body}");
        serde_json::from_str::<Refusal>(&body).unwrap().reason
    }

    /// Ends the first node's server, and says to whom its agent handed the lead and in how many milliseconds.
    pub async fn crash_primary(&self) -> (String, u64) {
        let info = self.access.node(0).await.unwrap().info().await.unwrap();
        signal(&info.raw, Signal::SIGKILL);
        let status = self
            .node(0)
            .status_with(|status| {
                let handover = data(status).handover.as_ref();
                handover.is_some_and(|report| report.outcome != HandoverOutcome::Running)
            })
            .await;
        assert_eq!(status.crashes, 1);
        done(&status, 1, HandoverCause::Crashed)
    }

    pub async fn end(mut self) {
        // Whoever leads would hand over to the others, one after the other.
        for pod in self.sentinels.drain(..).flatten() {
            pod.stop().await;
        }
        for pod in self.nodes.drain(..).flatten() {
            pod.stop().await;
        }
    }
}

/// Sends a signal to the server that said this of itself.
pub fn signal(info: &BTreeMap<String, String>, signal: Signal) {
    let pid = info["process_id"].parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

pub fn done(status: &AgentStatus, number: u64, cause: HandoverCause) -> (String, u64) {
    let report = data(status).handover.clone().unwrap();
    assert_eq!((report.number, report.cause), (number, cause));
    match report.outcome {
        HandoverOutcome::Done { write_gap_ms } => (report.to.unwrap(), write_gap_ms),
        other => panic!("{other:?}"),
    }
}
