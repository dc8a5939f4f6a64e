//! The world: its time, its network, its replication and its Sentinels' dealings with one another.

use crate::common;
use crate::data_node::{DataNode, Held, Keeps, Volume, Writes, index};
use crate::operator::Operator;
use crate::rng::Rng;
use crate::sentinel::Sentinel;
use cachebus_api::CacheBusStatus;
use cachebus_core::acl::digest;
use cachebus_core::bus::Bus;
use cachebus_core::config::agent_json;
use cachebus_core::names::Component;
use cachebus_core::protocol::{AgentConfig, DataStatus, Marker, TopologyOrder};
use cachebus_core::seal::Vote;
use std::fmt::Write;

/// Passes in which a bus must heal once there are no faults any more.
const HEALING: usize = 400;

pub struct World {
    pub rng: Rng,
    pub bus: Bus,
    pub config: AgentConfig,
    pub acl_digest: String,
    pub now_ms: u64,
    /// Every status that was ever stored; the newest counts.
    pub store: Vec<CacheBusStatus>,
    pub nodes: Vec<DataNode>,
    pub hosts: Vec<String>,
    pub sentinels: Vec<Sentinel>,
    pub sentinel_hosts: Vec<String>,
    pub operators: Vec<Operator>,
    /// Orders under way: when they arrive, where, and what they say.
    pub flying: Vec<(u64, String, TopologyOrder)>,
    /// There are no more faults.
    pub calm: bool,
    pub writes: u32,
    /// The copies that were there when the last target was chosen, and not silent for long, and what they held.
    pub choice: Vec<Held>,
    /// How often a node began to lead.
    pub leads: usize,
    /// Orders to lead: epoch and pod.
    pub lead_orders: Vec<(u64, String)>,
    /// Whom a majority of Sentinels on one side names, and since when.
    pub named: Option<(usize, u64)>,
    /// What nodes reported before the handovers of this second.
    pub before: Vec<DataStatus>,
    pub talks: bool,
}

impl World {
    pub fn new(seed: u64, talks: bool) -> Self {
        let mut rng = Rng::new(seed);
        let replicas = [0, 1, 2, 2, 2, 3][rng.below(6)];
        let sentinels = if rng.one_in(8) { 5 } else { 3 };
        let bus = common::bus(&format!(
            "{{replicas: {replicas}, sentinel: {{replicas: {sentinels}}}}}"
        ));
        let keeps = if rng.one_in(4) {
            Keeps::Snapshots
        } else {
            Keeps::AppendOnlyFile
        };
        let pods = |component, count| (0..count).map(move |ordinal| (ordinal, component));
        let names = bus.names.clone();
        let nodes: Vec<DataNode> = pods(Component::Redis, replicas + 1)
            .map(|(ordinal, component)| DataNode {
                index: ordinal as usize,
                name: names.pod(component, ordinal),
                keeps,
                volume: Volume::default(),
                away: 1 + rng.below(4),
                pod_uid: 0,
                role_label: None,
                side: 0,
                hidden: false,
                deletion: None,
                holding: false,
                backoff: 0,
                server: None,
                isolated_leader: false,
                handover: None,
                held: false,
                ordered_away: false,
                unordered: false,
            })
            .collect();
        let sentinels: Vec<Sentinel> = pods(Component::Sentinel, sentinels)
            .map(|(ordinal, component)| Sentinel {
                name: names.pod(component, ordinal),
                away: 1 + rng.below(4),
                side: 0,
                hidden: false,
                watch: None,
                current_epoch: 0,
                silent: 0,
                demoted: 0,
                cooldown: 0,
                promoting: None,
                ordered: None,
            })
            .collect();
        let fqdn = |component, pod: &String| names.pod_fqdn(component, pod);
        let mut world = Self {
            hosts: nodes
                .iter()
                .map(|node| fqdn(Component::Redis, &node.name))
                .collect(),
            sentinel_hosts: sentinels
                .iter()
                .map(|sentinel| fqdn(Component::Sentinel, &sentinel.name))
                .collect(),
            rng,
            config: agent_json(&bus),
            acl_digest: digest(""),
            bus,
            now_ms: 1_700_000_000_000,
            store: vec![CacheBusStatus::default()],
            nodes,
            sentinels,
            flying: Vec::new(),
            calm: false,
            operators: vec![Operator::default(), Operator::default()],
            writes: 0,
            choice: Vec::new(),
            leads: 0,
            lead_orders: Vec::new(),
            named: None,
            before: Vec::new(),
            talks,
        };
        if world.rng.one_in(8) {
            world.inherit();
        }
        world
    }

    /// Volumes that a deleted bus of the same name has left behind.
    fn inherit(&mut self) {
        let led = self.rng.below(self.nodes.len());
        let writes: Writes = 0b111;
        self.writes = 3;
        for index in 0..self.nodes.len() {
            if index != led && self.rng.one_in(3) {
                continue;
            }
            self.nodes[index].volume = Volume {
                lead: 0,
                noted: 0,
                files: Some(if index == led {
                    writes
                } else {
                    writes >> self.rng.below(3)
                }),
                marker: Some(Marker {
                    uid: "another".to_owned(),
                    primary: self.nodes[led].name.clone(),
                    epoch: 7,
                    complete: true,
                    aof: Some(self.nodes[index].keeps_aof()),
                    fence: 7,
                }),
            };
        }
    }

    /// A while of faults, then none until the bus is well.
    pub fn live(&mut self) {
        let trouble = 20 + self.rng.below(60);
        for _ in 0..trouble {
            self.fault();
            self.tick();
            for operator in 0..self.operators.len() {
                self.operate(operator);
            }
        }
        self.mend();
        self.operators.truncate(1);
        for _ in 0..HEALING {
            self.tick();
            self.operate_well();
            if self.is_well() {
                return;
            }
        }
        panic!("the bus does not heal:\n{}", self.picture());
    }

    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.talks {
            eprintln!("{:>8} {}", self.now_ms % 100_000_000, what());
        }
    }

    fn tick(&mut self) {
        self.now_ms += if self.rng.one_in(20) { 12_000 } else { 1_000 };
        self.deliver();
        self.delete();
        for node in 0..self.nodes.len() {
            let votes = self.votes(self.nodes[node].side);
            let before = self.nodes[node].writable();
            self.nodes[node].step(
                &self.config,
                &votes,
                &self.hosts,
                self.now_ms,
                &mut self.rng,
            );
            if !before && self.nodes[node].writable() {
                self.begin_lead(node);
                self.say(|| format!("{} leads by its own decision", self.nodes[node].name));
                self.claim_not_empty(node);
            }
        }
        self.hand_over();
        for node in 0..self.nodes.len() {
            // A pause ends by itself.
            self.nodes[node].held &= self.rng.one_in(2);
            self.replicate(node);
        }
        self.guard();
        self.claim_cut_off_is_fenced();
        self.write();
        for sentinel in 0..self.sentinels.len() {
            self.watch(sentinel);
        }
        self.claim_one_primary();
    }

    /// What the Sentinels say to a pod on this side.
    pub fn votes(&self, side: u8) -> Vec<Option<Vote>> {
        self.sentinels
            .iter()
            .map(|sentinel| {
                let watch = sentinel.watch.as_ref()?;
                (sentinel.runs() && sentinel.side == side).then(|| Vote {
                    primary_host: self.hosts[watch.primary].clone(),
                    config_epoch: watch.config_epoch,
                })
            })
            .collect()
    }

    pub fn node_of(&self, pod: &str) -> usize {
        index(&self.hosts, pod).unwrap()
    }

    pub fn picture(&self) -> String {
        let mut picture = format!("{:#?}", self.store.last().unwrap().topology);
        for node in &self.nodes {
            write!(picture, "\n{node:?}").unwrap();
        }
        for sentinel in &self.sentinels {
            write!(picture, "\n{sentinel:?}").unwrap();
        }
        picture
    }
}
