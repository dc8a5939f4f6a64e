//! Looks at a bus, said in words.

use crate::common::{UID, bus};
use cachebus_api::status::{Electorate, Handover, Target, Topology};
use cachebus_core::acl::digest;
use cachebus_core::bus::Bus;
use cachebus_core::config::agent_json;
use cachebus_core::names::Component;
use cachebus_core::observed::{Node, Observed, PodView};
use cachebus_core::plan::{Action, Desired, Plan, plan, routes};
use cachebus_core::protocol::{
    AgentStatus, DataStatus, EngineReport, FedReplica, FlushStatus, HandoverCause, HandoverOutcome,
    HandoverReport, KnownSentinel, Marker, Monitored, NodeStatus, Phase, ReplicationStatus,
    SentinelStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// The time at which everything here is seen, in seconds.
pub const NOW_S: i64 = 1_800_000_000;
/// When the bus's certificate ends, in seconds.
pub const EXPIRES: i64 = NOW_S + 1_000_000;
/// What every node serves.
pub const CERTIFICATE: &str = "c0ffee";

/// One look at a bus.
#[derive(Clone)]
pub struct Scene {
    pub bus: Bus,
    pub observed: Observed,
}

impl Scene {
    /// A bus whose pods run and do not answer yet.
    pub fn new(yaml: &str) -> Self {
        let bus = bus(yaml);
        let pods = |component, count| {
            (0..count)
                .map(|ordinal| (bus.names.pod(component, ordinal), silent(ordinal)))
                .collect()
        };
        let observed = Observed {
            now_ms: u64::try_from(NOW_S).unwrap() * 1_000,
            data: pods(Component::Redis, bus.spec.replicas + 1),
            sentinels: pods(Component::Sentinel, bus.spec.sentinel.replicas),
            ..Observed::default()
        };
        Self { bus, observed }
    }

    /// A bus of a primary, two replicas and three Sentinels, all well, `b-redis-0` leading in epoch 1.
    pub fn well() -> Self {
        let scene = Self::new("{}").recorded(primary("b-redis-0", 1));
        let mut leader = leads(1);
        leader.replication.as_mut().unwrap().replicas = ["b-redis-1", "b-redis-2"]
            .map(|pod| FedReplica {
                host: fqdn(pod),
                online: true,
                lag: 0,
            })
            .to_vec();
        let mut scene = scene
            .node(0, leader)
            .node(1, follows("b-redis-0", 1))
            .node(2, follows("b-redis-0", 1))
            .all_watch("b-redis-0", 0);
        for (pod, node) in &mut scene.observed.data {
            let role = if pod == "b-redis-0" {
                "primary"
            } else {
                "replica"
            };
            node.pod.as_mut().unwrap().role = Some(role.to_owned());
        }
        scene
    }

    pub fn recorded(mut self, topology: Topology) -> Self {
        self.observed.status.topology = Some(topology);
        self
    }

    pub fn node(mut self, ordinal: u32, data: DataStatus) -> Self {
        let pod = self.bus.names.pod(Component::Redis, ordinal);
        let agent = agent(&pod, NodeStatus::Redis(Box::new(data)));
        self.observed.data.entry(pod).or_default().agent = Some(agent);
        self
    }

    /// A Sentinel that answers, and what it watches.
    pub fn sentinel(mut self, ordinal: u32, monitored: Option<Monitored>) -> Self {
        let pod = self.bus.names.pod(Component::Sentinel, ordinal);
        let status = SentinelStatus {
            up: true,
            run_id: Some(format!("id-of-{pod}")),
            monitored,
        };
        let agent = agent(&pod, NodeStatus::Sentinel(status));
        self.observed.sentinels.entry(pod).or_default().agent = Some(agent);
        self
    }

    /// Every Sentinel answers and watches nobody.
    pub fn sentinels_idle(self) -> Self {
        (0..self.bus.spec.sentinel.replicas)
            .fold(self, |scene, ordinal| scene.sentinel(ordinal, None))
    }

    /// Every Sentinel names this pod, and knows all others.
    pub fn all_watch(self, pod: &str, config_epoch: u64) -> Self {
        (0..self.bus.spec.sentinel.replicas).fold(self, |scene, ordinal| {
            let watch = scene.watch(ordinal, pod, config_epoch);
            scene.sentinel(ordinal, Some(watch))
        })
    }

    /// Sentinels have moved the primary from `b-redis-0` to this pod, and nobody else has done anything about it.
    pub fn switched(self, to: &str) -> Self {
        let ordinal = self.bus.names.data_ordinal(to).unwrap();
        let promoted = DataStatus {
            marker: Some(Marker {
                fence: 1,
                ..marker(to, 2)
            }),
            ..leads(2)
        };
        self.node(ordinal, promoted).all_watch(to, 1)
    }

    /// What a Sentinel knows that names this pod and has found everybody.
    pub fn watch(&self, ordinal: u32, pod: &str, config_epoch: u64) -> Monitored {
        let config = agent_json(&self.bus);
        let me = self.bus.names.pod(Component::Sentinel, ordinal);
        let others = |pods: Vec<&String>, except: &str| -> Vec<String> {
            let others = pods.into_iter().filter(|other| *other != except);
            others.map(|pod| fqdn(pod)).collect()
        };
        Monitored {
            host: fqdn(pod),
            port: self.bus.spec.port,
            config_epoch,
            quorum: config.quorum,
            settings: config.monitor,
            down: false,
            failing_over: false,
            promoting: false,
            replicas: others(self.observed.data.keys().collect(), pod),
            peers: others(self.observed.sentinels.keys().collect(), &me),
            known: self
                .observed
                .sentinels
                .keys()
                .filter(|pod| **pod != me)
                .map(|pod| KnownSentinel {
                    host: fqdn(pod),
                    run_id: format!("id-of-{pod}"),
                    silent: false,
                })
                .collect(),
        }
    }

    /// The agent of a data pod does not answer.
    pub fn silent(mut self, ordinal: u32) -> Self {
        let pod = self.bus.names.pod(Component::Redis, ordinal);
        self.observed.data.get_mut(&pod).unwrap().agent = None;
        self
    }

    /// A data pod does not exist.
    pub fn gone(mut self, ordinal: u32) -> Self {
        let pod = self.bus.names.pod(Component::Redis, ordinal);
        self.observed.data.insert(pod, Node::default());
        self
    }

    /// Every pod is made from the template of revision `new`, the wanted one.
    pub fn templated(mut self) -> Self {
        for component in [Component::Redis, Component::Sentinel] {
            let revision = "new".to_owned();
            self.observed.revisions.insert(component, revision);
        }
        let observed = &mut self.observed;
        for node in observed
            .data
            .values_mut()
            .chain(observed.sentinels.values_mut())
        {
            node.pod.as_mut().unwrap().revision = Some("new".to_owned());
        }
        self
    }

    /// A pod is made from an older template.
    pub fn older(mut self, pod: &str) -> Self {
        self.pod(pod).revision = Some("old".to_owned());
        self
    }

    /// Kubelet does not count a pod as ready.
    pub fn not_ready(mut self, pod: &str) -> Self {
        self.pod(pod).ready = false;
        self
    }

    /// A pod does not come up, whatever its template.
    pub fn broken(mut self, pod: &str) -> Self {
        let seen = self.pod(pod);
        seen.ready = false;
        seen.trouble = Some("container redis: ErrImagePull".to_owned());
        let observed = &mut self.observed;
        let node = observed.data.get_mut(pod);
        node.or(observed.sentinels.get_mut(pod)).unwrap().agent = None;
        self
    }

    /// A pod runs this release of the engine.
    pub fn runs(mut self, pod: &str, version: &str) -> Self {
        let node = self.observed.data.get_mut(pod).unwrap();
        let agent = node.agent.as_mut().unwrap();
        version.clone_into(&mut agent.engine.as_mut().unwrap().version);
        self
    }

    pub fn pod(&mut self, pod: &str) -> &mut PodView {
        let observed = &mut self.observed;
        let node = observed.data.get_mut(pod);
        let node = node.or(observed.sentinels.get_mut(pod)).unwrap();
        node.pod.as_mut().unwrap()
    }

    /// A person asks for another primary.
    pub fn asks(mut self, for_whom: &str) -> Self {
        self.observed.request = Some(for_whom.to_owned());
        self
    }

    /// A handover has been decided, so many seconds ago.
    pub fn handing_over(mut self, to: Option<&str>, reason: &str, seconds: i64) -> Self {
        let topology = self.observed.status.topology.as_mut().unwrap();
        topology.handover = Some(Handover {
            to: to.map(str::to_owned),
            reason: reason.to_owned(),
            since: ago(seconds),
            failed: None,
        });
        self
    }

    /// The agent of a data pod reports a handover to `b-redis-1`.
    pub fn hands_over(
        mut self,
        ordinal: u32,
        number: u64,
        cause: HandoverCause,
        outcome: HandoverOutcome,
    ) -> Self {
        let pod = self.bus.names.pod(Component::Redis, ordinal);
        let node = self.observed.data.get_mut(&pod).unwrap();
        if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
            data.handover = Some(HandoverReport {
                number,
                cause,
                to: Some("b-redis-1".to_owned()),
                outcome,
            });
        }
        self
    }

    pub fn plan(&self) -> Plan {
        plan(&self.bus, &self.observed, &desired())
    }

    /// The actions but what is written on pods.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = self.plan().actions;
        actions.retain(|action| !matches!(action, Action::Label { .. } | Action::Refresh { .. }));
        actions
    }

    /// The record that the plan writes.
    pub fn record(&self) -> Topology {
        match self.actions().as_slice() {
            [Action::Record(topology)] => topology.clone(),
            other => panic!("one record is expected, not {other:?}"),
        }
    }

    /// The pod whose restart the plan records, where it records one.
    pub fn record_of_restart(&self) -> Option<String> {
        self.actions().into_iter().find_map(|action| match action {
            Action::Record(topology) => Some(topology.restart?.pod),
            _ => None,
        })
    }

    /// The target that the plan chooses: its pod, and whether it may be empty.
    pub fn chosen(&self) -> (String, bool) {
        let target = self.record().target.unwrap();
        (target.pod, target.empty)
    }

    /// Who is told by the plan to have whom for primary.
    pub fn orders(&self) -> Vec<(String, String)> {
        self.actions()
            .into_iter()
            .filter_map(|action| match action {
                Action::Order { pod, order } => Some((pod, order.primary)),
                _ => None,
            })
            .collect()
    }

    /// The role labels that the plan sets.
    pub fn labels(&self) -> Vec<(String, &'static str)> {
        let actions = self.plan().actions.into_iter();
        actions
            .filter_map(|action| match action {
                Action::Label { pod, role } => Some((pod, role)),
                _ => None,
            })
            .collect()
    }

    /// Where the Services lead: the primary's, and the replicas'.
    pub fn routed(&self) -> (Option<String>, Vec<String>) {
        let routes = routes(&self.bus, &self.observed);
        (
            routes.primary.map(|to| to.pod),
            routes.replicas.into_iter().map(|to| to.pod).collect(),
        )
    }

    /// Whether the primary's Service is left as it is.
    pub fn route_stays(&self) -> bool {
        routes(&self.bus, &self.observed).stays
    }

    /// Whether the primary's Service counts its pod as ready, where it leads anywhere.
    pub fn routed_ready(&self) -> Option<bool> {
        let routes = routes(&self.bus, &self.observed);
        routes.primary.map(|to| to.ready)
    }

    /// The Sentinels that are told by the plan what to monitor, and in whose place.
    pub fn monitors(&self) -> Vec<(String, Option<String>)> {
        self.actions()
            .into_iter()
            .filter_map(|action| match action {
                Action::Monitor { pod, order } => Some((pod, order.instead_of)),
                _ => None,
            })
            .collect()
    }

    /// The reasons for which the plan does not get further.
    pub fn reasons(&self) -> Vec<&'static str> {
        self.plan()
            .blocked
            .iter()
            .map(|blocked| blocked.reason)
            .collect()
    }
}

/// What the world is compared with here.
pub fn desired() -> Desired {
    Desired {
        certificate_expires: Some(EXPIRES),
        certificate: Some(CERTIFICATE.to_owned()),
        ..Desired::default()
    }
}

/// The announced name of a pod.
pub fn fqdn(pod: &str) -> String {
    let service = pod.rsplit_once('-').unwrap().0;
    format!("{pod}.{service}-nodes.n.svc.cluster.local")
}

/// So many seconds ago.
pub fn ago(seconds: i64) -> Time {
    Time(Timestamp::from_second(NOW_S - seconds).unwrap())
}

pub fn primary(pod: &str, epoch: u64) -> Topology {
    Topology {
        primary: Some(pod.to_owned()),
        epoch,
        since: Some(ago(3_600)),
        sentinels: Some(Electorate {
            members: 3,
            pods: 3,
        }),
        ..Topology::default()
    }
}

pub fn target(pod: &str, epoch: u64, empty: bool) -> Target {
    Target {
        pod: pod.to_owned(),
        epoch,
        reason: "Because".to_owned(),
        empty,
        superseded: Vec::new(),
    }
}

pub fn marker(primary: &str, epoch: u64) -> Marker {
    Marker {
        uid: UID.to_owned(),
        primary: primary.to_owned(),
        epoch,
        complete: true,
        aof: Some(true),
        fence: epoch,
    }
}

/// A sealed server that started on an empty volume.
pub fn empty() -> DataStatus {
    DataStatus {
        phase: Phase::Sealed,
        marker: None,
        keys: Some(0),
        dataset: false,
        replication: Some(ReplicationStatus::default()),
        handover: None,
        fenced: None,
        electorate: Some(3),
        set_aside: false,
        config: [("maxmemory".to_owned(), "2147483648".to_owned())].into(),
        refused_settings: [].into(),
        library: None,
        consumers: None,
        flush: None,
    }
}

/// A sealed server with so many keys of this primary and epoch.
pub fn sealed(keys: u64, primary: &str, epoch: u64) -> DataStatus {
    DataStatus {
        marker: Some(marker(primary, epoch)),
        keys: Some(keys),
        dataset: true,
        ..empty()
    }
}

/// A server that is not started for want of its dataset.
pub fn holds() -> DataStatus {
    DataStatus {
        phase: Phase::Holding,
        keys: None,
        replication: None,
        config: [].into(),
        ..empty()
    }
}

/// A primary of this epoch. Its marker names nobody else, whatever pod reports it.
pub fn leads(epoch: u64) -> DataStatus {
    DataStatus {
        phase: Phase::Leading,
        flush: Some(FlushStatus::default()),
        ..sealed(7, "b-redis-0", epoch)
    }
}

/// The same of a pod that knows that it leads in this epoch.
pub fn leads_as(pod: &str, epoch: u64) -> DataStatus {
    DataStatus {
        marker: Some(marker(pod, epoch)),
        ..leads(epoch)
    }
}

/// A replica in sync.
pub fn follows(primary: &str, epoch: u64) -> DataStatus {
    DataStatus {
        phase: Phase::Following(primary.to_owned()),
        replication: Some(ReplicationStatus {
            link_up: true,
            ..ReplicationStatus::default()
        }),
        ..sealed(7, primary, epoch)
    }
}

fn silent(ordinal: u32) -> Node {
    Node {
        pod: Some(PodView {
            uid: ordinal.to_string(),
            ip: Some(format!("10.0.0.{ordinal}")),
            ready: true,
            ..PodView::default()
        }),
        silent_ms: 3_600_000,
        ..Node::default()
    }
}

pub fn agent(pod: &str, node: NodeStatus) -> AgentStatus {
    AgentStatus {
        pod: pod.to_owned(),
        uid: UID.to_owned(),
        agent_version: "1".to_owned(),
        engine: Some(EngineReport {
            kind: cachebus_api::engine::EngineKind::Redis,
            version: format!("{}.99", cachebus_api::engine::Engine::default().version),
        }),
        crashes: 0,
        acl_digest: Some(digest("")),
        certificate_expires: Some(EXPIRES),
        certificate: Some(CERTIFICATE.to_owned()),
        node,
    }
}
