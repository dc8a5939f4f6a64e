//! One look at the world: what the stores, the agents and the clock said at one moment. It may be stale or partial.

use crate::backup::Backups;
use crate::bus::Bus;
use crate::engine::{Capabilities, SUPPORTED, of_release};
use crate::names::Component;
use crate::protocol::{AgentStatus, DataStatus, NodeStatus, Phase, SentinelStatus};
use cachebus_api::CacheBusStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeMap;

/// One look at a bus.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Status as last written.
    pub status: CacheBusStatus,
    /// Value of [`crate::names::SWITCHOVER_ANNOTATION`]: a person asks for another primary.
    pub request: Option<String>,
    /// Value of [`crate::names::FLUSH_ANNOTATION`]: a person asks for keyspaces to be emptied.
    pub flush_request: Option<String>,
    /// Data pods by name: those that should exist and those that do.
    pub data: BTreeMap<String, Node>,
    /// Sentinel pods by name, likewise.
    pub sentinels: BTreeMap<String, Node>,
    /// Update revision of each `StatefulSet` that exists.
    pub revisions: BTreeMap<Component, String>,
    /// Each `StatefulSet` that exists.
    pub sets: BTreeMap<Component, SetView>,
    /// Backups, and the restoration of one.
    pub backups: Backups,
}

/// What matters of a `StatefulSet`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetView {
    /// UID.
    pub uid: String,
    /// Its claim template.
    pub claim: ClaimTemplate,
    /// Deletion has begun.
    pub terminating: bool,
}

/// What a claim template asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimTemplate {
    /// Size, as Kubernetes prints it (`8Gi`).
    pub size: String,
    /// Storage class; `None`: the cluster's default.
    pub class: Option<String>,
}

/// One pod and what its agent said.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The pod, where it exists.
    pub pod: Option<PodView>,
    /// What its agent said, where it answered.
    pub agent: Option<AgentStatus>,
    /// Why its agent did not answer, for people.
    pub unreachable: Option<String>,
    /// For how long a data pod has, on end, not said what it holds, milliseconds, as far back as the observer remembers: 0 at
    /// the first look at which it does not, see [`Node::tells`].
    pub silent_ms: u64,
    /// The claim of its volume, where it exists.
    pub claim: Option<ClaimView>,
}

/// What matters of the claim of a pod's volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimView {
    /// UID.
    pub uid: String,
    /// Bytes that it asks for.
    pub asked: Option<u64>,
    /// Bytes that the volume has, once there is one.
    pub has: Option<u64>,
    /// Storage class.
    pub class: Option<String>,
    /// Deletion has begun.
    pub terminating: bool,
    /// Since when the volume is larger and waits for its file system to be mounted anew.
    pub file_system_pending: Option<Time>,
    /// What keeps the volume from growing, as its driver says.
    pub not_growing: Option<String>,
    /// Whether its class lets volumes grow; asked only where one is to grow. `None`: that cannot be told.
    pub expandable: Option<bool>,
    /// Where the volume lies; asked only where its pod has no node.
    pub home: Home,
}

/// Whether the node that a volume lies on is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// It is, or the volume is bound to none, or nobody needs to know.
    #[default]
    Somewhere,
    /// No node of this name exists any more.
    Gone(String),
    /// It cannot be told, and why.
    Untold(String),
}

/// What matters of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodView {
    /// UID.
    pub uid: String,
    /// IP address, once it has one.
    pub ip: Option<String>,
    /// Node it runs on, once it has one.
    pub node: Option<String>,
    /// Memory limit of its container, bytes.
    pub memory_limit: Option<u64>,
    /// Condition `Ready`.
    pub ready: bool,
    /// Deletion has begun.
    pub terminating: bool,
    /// Revision of the `StatefulSet` it was made from.
    pub revision: Option<String>,
    /// Value of [`crate::names::ROLE_LABEL`].
    pub role: Option<String>,
    /// Value of [`crate::names::AWAITS_ANNOTATION`].
    pub awaits: Option<String>,
    /// Why it does not run, where kubelet or the scheduler say so (`Unschedulable`, `ErrImagePull`, `CrashLoopBackOff` …), for people.
    pub trouble: Option<String>,
    /// When its container was last ended for more memory than its limit, milliseconds since 1970, where kubelet says so.
    pub out_of_memory_ms: Option<u64>,
}

impl PodView {
    /// It does not come up.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.trouble.is_some() && !self.ready && !self.terminating
    }
}

impl Observed {
    /// The oldest engine among the one that the spec asks for and those that run: what is sent to nodes while they are
    /// upgraded one by one must be understood by all.
    #[must_use]
    pub fn oldest_engine(&self, bus: &Bus) -> &'static Capabilities {
        let pods = [
            (Component::Redis, &self.data),
            (Component::Sentinel, &self.sentinels),
        ];
        let running = pods.into_iter().flat_map(|(component, nodes)| {
            let wanted = self.revisions.get(&component);
            nodes
                .values()
                .filter_map(move |node| node.engine(bus, wanted.map(String::as_str)))
        });
        running
            .chain([bus.engine])
            .min_by_key(|engine| SUPPORTED.iter().position(|known| known == *engine))
            .unwrap_or(bus.engine)
    }
}

impl Node {
    /// Whether a data pod's agent says what its server holds, or that it is reading it.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.data().is_some_and(|data| data.phase != Phase::Down)
    }

    /// What this pod runs. One that was made from an older template and does not say is taken for the oldest engine that
    /// there is.
    fn engine(&self, bus: &Bus, wanted: Option<&str>) -> Option<&'static Capabilities> {
        let kind = bus.engine.kind;
        if let Some(report) = self.agent.as_ref().and_then(|agent| agent.engine.as_ref()) {
            return of_release(kind, &report.version).filter(|_| report.kind == kind);
        }
        let pod = self.pod.as_ref().filter(|pod| !pod.terminating)?;
        let older = pod.revision.as_deref() != wanted && pod.revision.is_some() && wanted.is_some();
        SUPPORTED.iter().find(|known| older && known.kind == kind)
    }

    /// The report of a data pod's agent.
    #[must_use]
    pub fn data(&self) -> Option<&DataStatus> {
        match &self.agent.as_ref()?.node {
            NodeStatus::Redis(data) => Some(data),
            NodeStatus::Sentinel(_) => None,
        }
    }

    /// The report of a Sentinel pod's agent.
    #[must_use]
    pub fn sentinel(&self) -> Option<&SentinelStatus> {
        match &self.agent.as_ref()?.node {
            NodeStatus::Redis(_) => None,
            NodeStatus::Sentinel(sentinel) => Some(sentinel),
        }
    }
}
