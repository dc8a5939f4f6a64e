//! What was seen of one bus, with the questions that every rule asks.

use super::Plan;
use super::blocked::{Blocked, reason};
use super::orders::linked;
use super::votes::heard;
use crate::bus::Bus;
use crate::names::Component;
use crate::observed::{Node, Observed};
use crate::protocol::{DataStatus, KnownSentinel, Marker, Monitored, Phase, SentinelStatus};
use crate::seal::{Opinion, vouches};
use cachebus_api::status::{Electorate, Topology};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// One look at one bus.
pub struct View<'a> {
    pub bus: &'a Bus,
    pub observed: &'a Observed,
    /// What is recorded.
    pub topology: Topology,
    /// Data pods that should exist, by ordinal.
    pub nodes: Vec<String>,
    /// Sentinel pods that should exist and of which a majority is counted, by ordinal.
    pub sentinels: Vec<String>,
    /// A Sentinel pod that is to be counted as soon as it and the others know one another.
    pub joining: Option<String>,
    /// A Sentinel pod that is counted no more and is about to go.
    pub leaving: Option<String>,
    /// Whom the Sentinels name.
    pub opinion: Opinion,
}

impl<'a> View<'a> {
    pub fn new(bus: &'a Bus, observed: &'a Observed) -> Self {
        let pods = |component, count| {
            (0..count)
                .map(|ordinal| bus.names.pod(component, ordinal))
                .collect()
        };
        let Electorate { members, pods: all } = bus.electorate;
        let (joining, leaving) = match bus.names.pod(Component::Sentinel, members) {
            _ if all == members => (None, None),
            pod if bus.spec.sentinel.replicas > members => (Some(pod), None),
            pod => (None, Some(pod)),
        };
        let mut view = Self {
            bus,
            observed,
            topology: observed.status.topology.clone().unwrap_or_default(),
            nodes: pods(Component::Redis, bus.spec.replicas + 1),
            sentinels: pods(Component::Sentinel, members),
            joining,
            leaving,
            opinion: Opinion::None,
        };
        view.opinion = heard(&view);
        view
    }

    /// The pod that a majority of Sentinels names, unless one of them knows better.
    pub fn named(&self) -> Option<&str> {
        match &self.opinion {
            Opinion::Majority { pod, .. } => Some(pod),
            Opinion::Moving { .. } | Opinion::None => None,
        }
    }

    /// The pod on which Sentinels are about to agree.
    pub fn moving_to(&self) -> Option<&str> {
        match &self.opinion {
            Opinion::Moving { to } => Some(to),
            Opinion::Majority { .. } | Opinion::None => None,
        }
    }

    /// A pod that leads beside the one that a majority of Sentinels names, since one of them is about to name it.
    pub fn promoted(&self, named: &str) -> Option<&'a str> {
        let promoting = self.watches().any(|monitored| monitored.promoting);
        let mut others = self
            .reports()
            .filter(|(pod, data)| *pod != named && data.phase == Phase::Leading);
        others.next().filter(|_| promoting).map(|(pod, _)| pod)
    }

    /// The report of a data pod of this bus (a bus of the same name that was deleted may have left pods behind).
    pub fn data(&self, pod: &str) -> Option<&'a DataStatus> {
        let node = self.observed.data.get(pod)?;
        node.data().filter(|_| self.is_ours(node))
    }

    /// Memory limit of a data pod's container, bytes, where that is known.
    pub fn memory_limit(&self, pod: &str) -> Option<u64> {
        self.observed.data.get(pod)?.pod.as_ref()?.memory_limit
    }

    /// The reports of all data pods of this bus, those too that should not exist any more.
    pub fn reports(&self) -> impl Iterator<Item = (&'a str, &'a DataStatus)> + use<'a> {
        let uid = self.bus.uid.as_str();
        self.observed.data.iter().filter_map(move |(pod, node)| {
            let agent = node.agent.as_ref()?;
            (agent.uid == uid).then_some((pod.as_str(), node.data()?))
        })
    }

    /// The report of a Sentinel of this bus that answers.
    pub fn sentinel(&self, pod: &str) -> Option<&'a SentinelStatus> {
        let node = self.observed.sentinels.get(pod)?;
        node.sentinel()
            .filter(|sentinel| sentinel.up && self.is_ours(node))
    }

    /// The Sentinel pods that are told what to watch: those that count, and one that is to.
    pub fn told(&self) -> impl Iterator<Item = &str> {
        self.sentinels
            .iter()
            .chain(&self.joining)
            .map(String::as_str)
    }

    /// How many Sentinels must agree: as many as are a majority too with one that joins, from before it watches the bus, and with
    /// one that leaves, until it watches no more. It is the least that any of them needs, however few it has found. One that
    /// cannot join yet makes no failover harder.
    pub fn quorum(&self) -> u32 {
        let Electorate { members, pods } = self.bus.electorate;
        let watches = |pod: &String| match self.sentinel(pod) {
            Some(status) => self.joining.is_some() || status.monitored.is_some(),
            // One that others count may have a vote though it is silent.
            None => self.leaving.is_some() || self.counted_as(pod).next().is_some(),
        };
        let mut extra = self.joining.iter().chain(&self.leaving);
        let voters = if extra.any(watches) { pods } else { members };
        voters / 2 + 1
    }

    /// As what other Sentinels count the one of this pod.
    pub fn counted_as(&self, pod: &str) -> impl Iterator<Item = &'a KnownSentinel> {
        let names = &self.bus.names;
        let ordinal = names.sentinel_ordinal(pod);
        let known = self.watches().flat_map(|watch| &watch.known);
        known.filter(move |known| names.sentinel_ordinal(&known.host) == ordinal)
    }

    /// What each Sentinel of this bus that answers watches, those too that are counted no more: any of them may fail over.
    pub fn watches(&self) -> impl Iterator<Item = &'a Monitored> {
        let pods = self.observed.sentinels.keys();
        pods.filter_map(|pod| self.sentinel(pod)?.monitored.as_ref())
    }

    pub fn is_ours(&self, node: &Node) -> bool {
        node.agent
            .as_ref()
            .is_some_and(|agent| agent.uid == self.bus.uid)
    }

    /// Number of the last handover that the agent of a pod reports.
    pub fn handovers(&self, pod: &str) -> u64 {
        let report = self.data(pod).and_then(|data| data.handover.as_ref());
        report.map_or(0, |report| report.number)
    }

    /// Whether a Sentinel carries a failover out, or brings replicas to the new primary.
    pub fn failing_over(&self) -> bool {
        self.watches().any(|monitored| monitored.failing_over)
    }

    pub fn leads(&self, pod: &str) -> bool {
        self.data(pod)
            .is_some_and(|data| data.phase == Phase::Leading)
    }

    /// The recorded primary and what it reports, while it leads.
    pub fn leader(&self) -> Option<(&str, &'a DataStatus)> {
        let primary = self.topology.primary.as_deref()?;
        let data = self.data(primary)?;
        (data.phase == Phase::Leading).then_some((primary, data))
    }

    /// The marker, where this bus wrote it.
    pub fn own_marker(&self, data: &'a DataStatus) -> Option<&'a Marker> {
        data.marker
            .as_ref()
            .filter(|marker| marker.uid == self.bus.uid)
    }

    /// Epoch of the data in a report; 0 where this bus never wrote any.
    pub fn epoch(&self, data: &'a DataStatus) -> u64 {
        self.own_marker(data).map_or(0, |marker| marker.epoch)
    }

    /// Newest epoch that a pod knows of, whether or not its data is of it.
    pub fn obeyed(&self, data: &'a DataStatus) -> u64 {
        self.own_marker(data)
            .map_or(0, |marker| marker.epoch.max(marker.fence))
    }

    /// Whether a copy holds data: keys, or files for which a marker vouches. An engine that finds an empty volume makes files
    /// of its own, so that files alone prove nothing.
    pub fn has_data(data: &DataStatus) -> bool {
        data.keys.is_some_and(|keys| keys > 0)
            || (data.dataset && data.marker.as_ref().is_some_and(vouches))
    }

    /// Whether a pod that Sentinels name cannot be what they take it for: it has lost its dataset, and its server is not
    /// started, or waits for somebody from whom to get it again.
    pub fn lost(&self, pod: &str) -> bool {
        self.data(pod).is_some_and(|data| match data.phase {
            Phase::Holding => true,
            Phase::Sealed => !Self::has_data(data),
            Phase::Following(_) => !linked(data) && !Self::has_data(data),
            Phase::Down | Phase::Loading | Phase::Leading | Phase::Unknown => false,
        })
    }

    /// The pod that is being deleted keeps its volume and comes back.
    pub fn terminating(&self, pod: &str) -> bool {
        self.observed
            .data
            .get(pod)
            .and_then(|node| node.pod.as_ref())
            .is_some_and(|pod| pod.terminating)
    }

    /// Whether no server can be running for a data pod that does not report.
    pub fn surely_off(&self, pod: &str) -> bool {
        self.observed
            .data
            .get(pod)
            .and_then(|node| node.pod.as_ref())
            .is_none_or(|pod| pod.ip.is_none())
    }

    /// Whether a data pod that says nothing may say what it holds in a moment: it runs as far as anybody knows, and has been
    /// silent for less than `millis` on end. One look that it misses is no silence.
    pub fn may_tell(&self, pod: &str, millis: u64) -> bool {
        let Some(node) = self.observed.data.get(pod) else {
            return false;
        };
        let runs = node
            .pod
            .as_ref()
            .is_some_and(|pod| pod.ip.is_some() && !pod.terminating && pod.trouble.is_none());
        let is_foreign = node.agent.is_some() && !self.is_ours(node);
        runs && !is_foreign && !node.tells() && node.silent_ms < millis
    }

    /// Whether this much time has passed since then.
    pub fn passed(&self, since: Option<&Time>, millis: u64) -> bool {
        since.is_some_and(|since| {
            let since = u64::try_from(since.0.as_millisecond()).unwrap_or_default();
            self.observed.now_ms.saturating_sub(since) >= millis
        })
    }

    pub fn now(&self) -> Time {
        time(self.observed.now_ms)
    }

    /// Names each pod that does not report, and why.
    pub fn absences(&self, plan: &mut Plan) {
        let data = self.nodes.iter().map(|pod| (pod, &self.observed.data));
        let sentinels = self
            .sentinels
            .iter()
            .map(|pod| (pod, &self.observed.sentinels));
        for (pod, nodes) in data.chain(sentinels) {
            let Some((blocked, soon)) = self.absence(pod, nodes.get(pod)) else {
                continue;
            };
            if soon {
                plan.wait(blocked);
            } else {
                plan.stuck(blocked);
            }
        }
    }

    /// Why a pod does not report, and whether to look again in a moment.
    fn absence(&self, pod: &str, node: Option<&Node>) -> Option<(Blocked, bool)> {
        let Some(node) = node else {
            let missing = Blocked::new(reason::POD_MISSING, format!("{pod} does not exist"));
            return Some((missing, false));
        };
        if node.agent.is_some() {
            return (!self.is_ours(node)).then(|| {
                let message = format!("{pod} serves another bus of this name");
                (Blocked::new(reason::FOREIGN_POD, message), false)
            });
        }
        let (reason, state, soon) = match &node.pod {
            None => (reason::POD_MISSING, "does not exist", false),
            Some(view) if view.terminating => (reason::POD_MISSING, "is being deleted", false),
            Some(view) if view.ip.is_none() => (reason::POD_MISSING, "does not run yet", false),
            Some(view) => (
                reason::POD_UNREACHABLE,
                "does not answer",
                view.trouble.is_none(),
            ),
        };
        let message = match node.pod.as_ref().and_then(|view| view.trouble.as_ref()) {
            Some(trouble) => format!("{pod} {state}: {trouble}"),
            None => format!("{pod} {state}"),
        };
        Some((Blocked::new(reason, message), soon))
    }
}

/// Milliseconds since 1970 in whole seconds, as Kubernetes keeps times.
pub fn time(millis: u64) -> Time {
    let seconds = i64::try_from(millis / 1_000).ok();
    let timestamp = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    Time(timestamp.unwrap_or(Timestamp::MAX))
}
