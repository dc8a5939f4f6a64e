//! Operators that see late and in part, carry out one step at a time, and may stop anywhere.

use crate::data_node::{DataNode, Deletion, Held, Role};
use crate::world::World;
use cachebus_api::CacheBusStatus;
use cachebus_api::status::Target;
use cachebus_core::observed::{Node, Observed, PodView};
use cachebus_core::plan::{Action, Desired, intended, plan};
use cachebus_core::protocol::{
    AgentStatus, FedReplica, MonitorOrder, Monitored, NodeStatus, SentinelStatus, TopologyOrder,
};
use cachebus_core::status::{kind, report};
use std::collections::{BTreeMap, VecDeque};

/// After this time an order is not sent any more, in milliseconds; [`cachebus_core::plan::Plan::actions`] asks for it.
const ORDER_LIFE_MS: u64 = 10_000;

/// A pod that is silent for so long may be left out, in milliseconds.
const LONG_MS: u64 = 30_000;

#[derive(Default)]
pub struct Operator {
    /// What is still to be done of a plan.
    pub pending: VecDeque<Action>,
    /// Version of the status that it rests on.
    version: usize,
    /// When it was made.
    made_ms: u64,
    /// The copies that had told by then what they hold, and have not been silent for long since.
    copies: Vec<Held>,
    /// Since when each data pod tells nothing, and the UID of the pod that is silent.
    silent: BTreeMap<String, (String, u64)>,
}

impl World {
    /// Some time of an operator's life.
    pub fn operate(&mut self, operator: usize) {
        match self.rng.below(6) {
            0 => {}
            1 => self.operators[operator].pending.clear(),
            2 => {
                self.carry_out(operator);
            }
            _ => {
                if self.operators[operator].pending.is_empty() {
                    self.decide(operator, true);
                }
                let steps = self.rng.below(4);
                for _ in 0..steps {
                    self.carry_out(operator);
                }
            }
        }
    }

    /// A pass without faults.
    pub fn operate_well(&mut self) {
        self.operators[0].pending.clear();
        self.decide(0, false);
        while !self.operators[0].pending.is_empty() {
            self.carry_out(0);
        }
    }

    fn decide(&mut self, operator: usize, faulty: bool) {
        let behind = if faulty && self.rng.one_in(4) {
            1 + self.rng.below(3)
        } else {
            0
        };
        let version = (self.store.len() - 1).saturating_sub(behind);
        let mut observed = self.observe(version, faulty);
        let silent = self.listen(operator, &mut observed);
        let plan = plan(&self.bus, &observed, &Desired::default());
        Self::claim_plan(&plan, &observed);
        self.say(|| format!("operator {operator} sees status {version}: {plan:?}"));
        self.operators[operator] = Operator {
            pending: plan.actions.into(),
            version,
            made_ms: self.now_ms,
            copies: self.copies(&observed),
            silent,
        };
    }

    /// Adds for how long each data pod has been silent, as far as this operator remembers.
    fn listen(&self, operator: usize, observed: &mut Observed) -> BTreeMap<String, (String, u64)> {
        let before = &self.operators[operator].silent;
        let mut silent = BTreeMap::new();
        for (name, node) in &mut observed.data {
            let runs = node.pod.as_ref().filter(|pod| pod.ip.is_some());
            let Some(pod) = runs.filter(|_| !node.tells()) else {
                continue;
            };
            let since = before.get(name).filter(|(uid, _)| *uid == pod.uid);
            let since = since.map_or(self.now_ms, |(_, since)| *since);
            silent.insert(name.clone(), (pod.uid.clone(), since));
            node.silent_ms = self.now_ms - since;
        }
        silent
    }

    fn observe(&mut self, version: usize, faulty: bool) -> Observed {
        let mut data = BTreeMap::new();
        for node in 0..self.nodes.len() {
            let missed = faulty && self.rng.one_in(12);
            // Not all are asked at one moment: one may have told before what another had not done yet.
            let earlier = self.before.get(node).filter(|_| self.rng.one_in(2));
            let node = &self.nodes[node];
            let agent = (node.is_reached() && !missed).then(|| {
                let mut report = earlier.cloned().unwrap_or_else(|| node.report(&self.hosts));
                if let Some(replication) = &mut report.replication {
                    replication.replicas = self.fed_by(node.index);
                }
                self.agent(&node.name, NodeStatus::Redis(Box::new(report)))
            });
            let role = node.role_label.clone();
            let mut seen = seen(node.away, node.pod_uid, role, agent);
            match node.deletion {
                Some(Deletion::Forced) => seen.pod = None,
                Some(Deletion::Graceful) => {
                    seen.pod.iter_mut().for_each(|pod| pod.terminating = true);
                }
                None => {}
            }
            data.insert(node.name.clone(), seen);
        }
        let mut sentinels = BTreeMap::new();
        for sentinel in 0..self.sentinels.len() {
            let missed = faulty && self.rng.one_in(12);
            let sentinel = &self.sentinels[sentinel];
            let reachable = sentinel.runs() && !sentinel.hidden && sentinel.side == 0 && !missed;
            let monitored = sentinel.watch.as_ref().map(|watch| Monitored {
                host: self.hosts[watch.primary].clone(),
                port: self.config.port,
                config_epoch: watch.config_epoch,
                quorum: self.config.quorum,
                settings: self.config.monitor.clone(),
                down: sentinel.down(),
                failing_over: sentinel.is_failing_over(),
                promoting: sentinel.is_failing_over(),
                replicas: watch
                    .replicas
                    .iter()
                    .map(|replica| self.hosts[*replica].clone())
                    .collect(),
                peers: watch
                    .peers
                    .iter()
                    .map(|peer| self.sentinel_hosts[*peer].clone())
                    .collect(),
                known: Vec::new(),
            });
            let status = NodeStatus::Sentinel(SentinelStatus {
                up: true,
                run_id: Some(sentinel.name.clone()),
                monitored,
            });
            let agent = reachable.then(|| self.agent(&sentinel.name, status));
            sentinels.insert(sentinel.name.clone(), seen(sentinel.away, 0, None, agent));
        }
        Observed {
            backups: cachebus_core::backup::Backups::default(),
            now_ms: self.now_ms,
            status: self.store[version].clone(),
            data,
            sentinels,
            ..Observed::default()
        }
    }

    /// The copies that an observation shows, or would show to who looks once more, and what they hold.
    fn copies(&self, observed: &Observed) -> Vec<Held> {
        let there = self.nodes.iter().filter(|node| {
            let seen = &observed.data[&node.name];
            let runs = seen
                .pod
                .as_ref()
                .is_some_and(|pod| pod.ip.is_some() && !pod.terminating);
            runs && seen.silent_ms < LONG_MS
        });
        let epoch = |node: &DataNode| node.volume.marker.as_ref().map_or(0, |marker| marker.epoch);
        there
            .map(|node| (node.index, node.data(), epoch(node)))
            .collect()
    }

    /// The replicas in a node's own list.
    pub fn fed_by(&self, primary: usize) -> Vec<FedReplica> {
        let linked = self.nodes.iter().filter(|node| {
            node.server
                .as_ref()
                .is_some_and(|server| server.link_up && server.role == Role::Replica(Some(primary)))
        });
        linked
            .map(|node| FedReplica {
                host: self.hosts[node.index].clone(),
                online: true,
                lag: 0,
            })
            .collect()
    }

    fn agent(&self, pod: &str, node: NodeStatus) -> AgentStatus {
        AgentStatus {
            pod: pod.to_owned(),
            uid: self.bus.uid.clone(),
            agent_version: String::new(),
            engine: None,
            crashes: 0,
            acl_digest: Some(self.acl_digest.clone()),
            certificate_expires: Some(i64::MAX / 2_000),
            certificate: None,
            node,
        }
    }

    fn carry_out(&mut self, operator: usize) {
        let Some(action) = self.operators[operator].pending.pop_front() else {
            return;
        };
        if self.now_ms - self.operators[operator].made_ms > ORDER_LIFE_MS {
            self.operators[operator].pending.clear();
            return;
        }
        match action {
            Action::Record(topology) => {
                if self.operators[operator].version + 1 != self.store.len() {
                    self.operators[operator].pending.clear();
                    return;
                }
                let mut status = self.store.last().unwrap().clone();
                if topology.target.is_some() && topology.target != target(&status) {
                    self.choice = self.operators[operator].copies.clone();
                }
                status.topology = Some(topology);
                self.store.push(status);
                self.operators[operator].version += 1;
            }
            Action::Order { pod, order } => {
                let node = self.node_of(&pod);
                let begins = pod == order.primary;
                if begins != self.nodes[node].writable() && !self.still_intended(&order) {
                    self.operators[operator].pending.clear();
                    return;
                }
                let delay = self.delay();
                self.flying.push((self.now_ms + delay, pod, order));
                self.deliver();
            }
            Action::Monitor { pod, order } => self.monitor(&pod, &order),
            Action::Label { pod, role } => {
                let node = self.node_of(&pod);
                self.nodes[node].role_label = Some(role.to_owned());
            }
            Action::Configure { .. } | Action::SetUsers { .. } | Action::Refresh { .. } => {
                panic!("nothing drifts here");
            }
            Action::HandOver { .. }
            | Action::Restart { .. }
            | Action::Remake { .. }
            | Action::Grow { .. }
            | Action::Retire { .. }
            | Action::Answer { .. }
            | Action::AnswerFlush { .. }
            | Action::Flush { .. } => {
                panic!("nothing is asked for here");
            }
        }
    }

    fn monitor(&mut self, pod: &str, order: &MonitorOrder) {
        let primary = self.node_of(&order.primary);
        let instead_of = order.instead_of.as_ref().map(|lost| self.node_of(lost));
        let index = |pod: &str| self.sentinels.iter().position(|other| other.name == pod);
        let peers: Vec<usize> = order
            .peers
            .iter()
            .filter_map(|peer| index(&peer.pod))
            .collect();
        let told = index(pod).unwrap();
        let sentinel = &mut self.sentinels[told];
        if sentinel.runs() && !sentinel.hidden && sentinel.side == 0 {
            sentinel.obey(primary, instead_of, order.config_epoch, &peers);
        }
    }

    /// What changes the topology is sent only after a look at the newest record, whatever the one that it was made from.
    fn still_intended(&self, order: &TopologyOrder) -> bool {
        let newest = self.store.last().unwrap().topology.as_ref();
        newest.is_some_and(|topology| intended(topology, order))
    }

    /// How long an order is under way. Connections break and are made anew; a request is given up after some seconds.
    fn delay(&mut self) -> u64 {
        if self.calm || !self.rng.one_in(4) {
            return 0;
        }
        1_000 * (1 + self.rng.below(8) as u64)
    }

    /// Brings the orders whose time has come to their pods, which may have been replaced meanwhile.
    pub fn deliver(&mut self) {
        let now = self.now_ms;
        let (due, flying) = std::mem::take(&mut self.flying)
            .into_iter()
            .partition(|(at, _, _)| *at <= now);
        self.flying = flying;
        let due: Vec<(u64, String, TopologyOrder)> = due;
        for (at, pod, order) in due {
            if at + ORDER_LIFE_MS > now {
                self.send(&pod, &order);
            }
        }
    }

    fn send(&mut self, pod: &str, order: &TopologyOrder) {
        let node = self.node_of(pod);
        if !self.nodes[node].is_reached() {
            return;
        }
        let votes = self.votes(self.nodes[node].side);
        let led = self.nodes[node].writable();
        self.claim_one_lead_in_an_epoch(pod, order);
        let answer = self.nodes[node].obey(
            order,
            &self.config,
            &votes,
            &self.hosts,
            self.now_ms,
            &mut self.rng,
        );
        self.say(|| format!("{pod} is told {order:?}: {answer:?}"));
        if !led && self.nodes[node].writable() {
            self.claim_not_empty(node);
            self.claim_nothing_lost(node);
            self.begin_lead(node);
        }
        self.claim_one_primary();
    }

    /// Whether the bus is well, and the operator sees it so and has nothing left to do.
    pub fn is_well(&mut self) -> bool {
        let mut leaders = self.nodes.iter().filter(|node| node.writable());
        if leaders.any(|leader| !leader.takes_writes()) {
            return false;
        }
        let version = self.store.len() - 1;
        let mut observed = self.observe(version, false);
        let desired = Desired {
            certificate_expires: Some(i64::MAX / 2_000),
            ..Desired::default()
        };
        let plan = plan(&self.bus, &observed, &desired);
        if !plan.actions.is_empty() || plan.unsettled || !plan.blocked.is_empty() {
            return false;
        }
        let status = report(&self.bus, &observed, &plan, &desired);
        let status_of = |wanted: &str| {
            let condition = status
                .conditions
                .iter()
                .find(|condition| condition.type_ == wanted);
            condition.unwrap().status.clone()
        };
        for healthy in [
            kind::AVAILABLE,
            kind::REPLICATION_HEALTHY,
            kind::SENTINEL_QUORUM,
        ] {
            assert_eq!(
                status_of(healthy),
                "True",
                "{healthy} in {}",
                self.picture()
            );
        }
        observed.status = status.clone();
        let again = report(&self.bus, &observed, &plan, &desired);
        assert_eq!(status, again, "the status of a world at rest changes");
        self.claim_whole();
        true
    }
}

fn target(status: &CacheBusStatus) -> Option<Target> {
    status.topology.as_ref()?.target.clone()
}

fn seen(away: usize, uid: usize, role: Option<String>, agent: Option<AgentStatus>) -> Node {
    Node {
        pod: (away <= 2).then(|| PodView {
            uid: uid.to_string(),
            ip: (away == 0).then(|| "10.0.0.1".to_owned()),
            ready: away == 0,
            role,
            ..PodView::default()
        }),
        unreachable: agent.is_none().then(|| "no answer".to_owned()),
        agent,
        ..Node::default()
    }
}
