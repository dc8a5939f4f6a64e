//! A data pod: its volume, its agent, which decides by the real rules, and its server.

use crate::handover::Errand;
use crate::rng::Rng;
use cachebus_core::fence::Watch;
use cachebus_core::protocol::{
    AgentConfig, DataStatus, HandoverCause, HandoverOutcome, HandoverReport, Marker, Phase,
    Refusal, ReplicationStatus, TopologyOrder,
};
use cachebus_core::seal::{
    NEVER_PROMOTE, Question, Role as SeenRole, Sighting, Start, Verdict, Vote, decide, judge_order,
    just_promoted, next_marker, obeyed, priority, refusal,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// A copy at the time of a choice: node, what it held, and the epoch of that by its marker.
pub type Held = (usize, Writes, u64);

/// A set of writes, one bit each.
pub type Writes = u64;

#[derive(Clone, Debug, Default)]
pub struct Volume {
    /// What the files hold; `None`: there are none.
    pub files: Option<Writes>,
    /// The newest lead that the files are of, whoever's. No agent knows this number; markers are to follow it.
    pub lead: usize,
    /// The lead of which the agent saw that the files were, last.
    pub noted: usize,
    pub marker: Option<Marker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Master,
    /// Of a pod; `None`: of a closed port.
    Replica(Option<usize>),
}

/// Who made a server lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeBy {
    Order,
    Sentinels,
    Handover,
}

#[derive(Clone, Debug)]
pub struct Server {
    pub role: Role,
    pub made_by: MadeBy,
    /// When others than its agent made it lead, milliseconds since 1970.
    pub promoted_ms: Option<u64>,
    pub memory: Writes,
    /// The newest lead that the memory is of.
    pub lead: usize,
    pub files_at_start: bool,
    pub loading: usize,
    pub link_up: bool,
    /// Ticks until a full synchronisation is through.
    pub syncing: usize,
    /// Ticks until the append-only file is rewritten after one.
    pub rewriting: usize,
    pub priority: u32,
    /// The link was up since the server follows this primary, and no full synchronisation has begun since.
    pub linked: bool,
    /// What its agent knows of its right to take writes, while it leads.
    pub watch: Option<Watch>,
    /// Since when its agent sees it lead, and since when no majority of Sentinels has been with it, milliseconds since 1970.
    pub leads_since: u64,
    pub unheard_since: Option<u64>,
}

impl Server {
    pub fn answers(&self) -> bool {
        self.loading == 0
    }

    pub fn replicate_from(&mut self, primary: Option<usize>) {
        if self.role != Role::Replica(primary) {
            self.role = Role::Replica(primary);
            self.promoted_ms = None;
            self.link_up = false;
            self.syncing = 0;
            self.linked = false;
        }
    }

    pub fn promote(&mut self, made_by: MadeBy) {
        if self.role != Role::Master {
            self.made_by = made_by;
        }
        self.role = Role::Master;
        self.link_up = false;
        self.syncing = 0;
    }

    pub fn writable(&self) -> bool {
        self.answers() && self.role == Role::Master
    }
}

/// What a server keeps its data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    AppendOnlyFile,
    Snapshots,
}

/// How a pod is being deleted whose server runs on until its node hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The pod is there to the end.
    Graceful,
    /// The pod is gone at once, by somebody's word that its server is.
    Forced,
}

#[derive(Clone, Debug)]
pub struct DataNode {
    pub index: usize,
    pub name: String,
    pub keeps: Keeps,
    pub volume: Volume,
    /// Ticks until the pod exists and runs; 0: it does.
    pub away: usize,
    pub pod_uid: usize,
    pub role_label: Option<String>,
    /// Side of a network split.
    pub side: u8,
    /// The operators cannot reach it.
    pub hidden: bool,
    pub deletion: Option<Deletion>,
    pub holding: bool,
    /// Ticks until the server is started again.
    pub backoff: usize,
    pub server: Option<Server>,
    /// It led by an order while the operators could not reach it, and has not been demoted since.
    pub isolated_leader: bool,
    /// Its agent hands its lead over.
    pub handover: Option<Errand>,
    /// Clients' writes are held.
    pub held: bool,
    /// It led last until an order had it follow.
    pub ordered_away: bool,
    /// Sentinels had it lead last.
    pub unordered: bool,
}

impl DataNode {
    pub fn runs(&self) -> bool {
        self.away == 0
    }

    pub fn keeps_aof(&self) -> bool {
        self.keeps == Keeps::AppendOnlyFile
    }

    /// Whether the operators reach its agent.
    pub fn is_reached(&self) -> bool {
        self.runs() && !self.hidden && self.side == 0 && self.deletion != Some(Deletion::Forced)
    }

    pub fn writable(&self) -> bool {
        self.runs() && self.server.as_ref().is_some_and(Server::writable)
    }

    /// Whether it leads, and its agent lets it take writes.
    pub fn takes_writes(&self) -> bool {
        let watch = self
            .server
            .as_ref()
            .and_then(|server| server.watch.as_ref());
        self.writable() && watch.is_none_or(|watch| watch.fenced().is_none())
    }

    /// What this copy holds, in memory or on disk.
    pub fn data(&self) -> Writes {
        match &self.server {
            Some(server) if server.answers() => server.memory,
            _ => self.volume.files.unwrap_or_default(),
        }
    }

    /// The newest lead that this copy is of.
    pub fn lead(&self) -> usize {
        match &self.server {
            Some(server) if server.answers() => server.lead,
            _ => self.volume.lead,
        }
    }

    /// For how long its server has led, where others than its agent made it.
    fn promoted(&self, now_ms: u64) -> Option<Duration> {
        let since = self.server.as_ref()?.promoted_ms?;
        Some(Duration::from_millis(now_ms - since))
    }

    /// The newest epoch of this bus that its marker knows of.
    pub fn known_epoch(&self, config: &AgentConfig) -> u64 {
        let marker = self.volume.marker.as_ref();
        let marker = marker.filter(|marker| marker.uid == config.uid);
        marker.map_or(0, |marker| marker.epoch.max(marker.fence))
    }

    /// Whether a person would say that there is data here: any write, or whole files of this or an earlier bus.
    pub fn has_data(&self) -> bool {
        self.data() != 0 || self.volume.files.unwrap_or_default() != 0
    }

    pub fn kill(&mut self, away: usize) {
        self.away = away.max(1);
        self.server = None;
        self.deletion = None;
        self.holding = false;
        self.backoff = 0;
        self.isolated_leader = false;
        self.handover = None;
        self.held = false;
        self.role_label = None;
        self.pod_uid += 1;
    }

    pub fn crash(&mut self, backoff: usize) {
        self.server = None;
        self.holding = false;
        self.backoff = backoff;
    }

    /// One second of the agent.
    pub fn step(
        &mut self,
        config: &AgentConfig,
        votes: &[Option<Vote>],
        hosts: &[String],
        now_ms: u64,
        rng: &mut Rng,
    ) {
        if !self.runs() {
            self.away -= 1;
            return;
        }
        if self.handover.is_some() {
            return;
        }
        if self.server.is_none() {
            if self.backoff > 0 {
                self.backoff -= 1;
            } else {
                self.start(config, votes, hosts, rng);
            }
            return;
        }
        let server = self.server.as_mut().unwrap();
        if server.loading > 0 {
            server.loading -= 1;
            return;
        }
        if server.role == Role::Replica(None) {
            self.unseal(config, votes, hosts);
        } else {
            self.look(config, votes, hosts, now_ms);
        }
    }

    fn question<'a>(&'a self, config: &'a AgentConfig, votes: &'a [Option<Vote>]) -> Question<'a> {
        let dataset = match &self.server {
            Some(server) => {
                let saved = !self.keeps_aof() && self.volume.files.is_some();
                server.files_at_start || server.memory != 0 || saved
            }
            None => self.volume.files.is_some(),
        };
        Question {
            config,
            pod: &self.name,
            votes,
            marker: self.volume.marker.as_ref(),
            dataset,
        }
    }

    fn start(
        &mut self,
        config: &AgentConfig,
        votes: &[Option<Vote>],
        hosts: &[String],
        rng: &mut Rng,
    ) {
        let start = decide(&self.question(config, votes));
        let (role, priority) = match start {
            Start::Hold => {
                self.holding = true;
                return;
            }
            Start::Lead => (Role::Master, config.replica_priority),
            Start::FollowPrimary { pod, priority } => (Role::Replica(index(hosts, &pod)), priority),
            Start::Sealed => (Role::Replica(None), NEVER_PROMOTE),
        };
        let loading = rng.below(3);
        self.launch(role, priority, MadeBy::Sentinels, loading);
    }

    /// An engine that finds no append-only file makes an empty one at once.
    fn launch(&mut self, role: Role, priority: u32, made_by: MadeBy, loading: usize) {
        self.holding = false;
        self.server = Some(Server {
            role,
            made_by,
            promoted_ms: None,
            memory: self.volume.files.unwrap_or_default(),
            lead: self.volume.lead,
            files_at_start: self.volume.files.is_some(),
            loading,
            link_up: false,
            syncing: 0,
            rewriting: 0,
            priority,
            linked: false,
            watch: None,
            leads_since: 0,
            unheard_since: None,
        });
        if self.keeps_aof() {
            self.volume.files.get_or_insert(0);
        }
    }

    fn unseal(&mut self, config: &AgentConfig, votes: &[Option<Vote>], hosts: &[String]) {
        let start = decide(&self.question(config, votes));
        let server = self.server.as_mut().unwrap();
        match start {
            Start::Sealed => {}
            Start::Lead => {
                server.promote(MadeBy::Sentinels);
                server.priority = config.replica_priority;
            }
            Start::FollowPrimary { pod, priority } => {
                server.replicate_from(index(hosts, &pod));
                server.priority = priority;
            }
            Start::Hold => {
                self.server = None;
                self.holding = true;
            }
        }
    }

    fn look(
        &mut self,
        config: &AgentConfig,
        votes: &[Option<Vote>],
        hosts: &[String],
        now_ms: u64,
    ) {
        let server = self.server.as_ref().unwrap();
        let is_new = |marker: &Marker| marker.uid != config.uid || marker.primary != self.name;
        let asks = server.role != Role::Master
            || self.volume.marker.as_ref().is_none_or(is_new)
            || just_promoted(self.promoted(now_ms));
        let votes = if asks { votes } else { &[] };
        let followed = match server.role {
            Role::Replica(Some(primary)) => Some(hosts[primary].as_str()),
            Role::Replica(None) | Role::Master => None,
        };
        let seen = Sighting {
            aof: self.keeps_aof(),
            role: match followed {
                None => SeenRole::Leading,
                Some(primary) => SeenRole::Following {
                    primary,
                    link_up: server.link_up,
                    syncing: server.syncing > 0,
                },
            },
            rewriting: server.rewriting > 0,
        };
        let next = next_marker(&self.question(config, votes), &seen);
        let linked = (server.linked || server.link_up) && server.syncing == 0;
        let dataset = self.question(config, votes).dataset;
        let priority = followed.map_or(config.replica_priority, |primary| {
            let primary = primary.split('.').next().unwrap();
            priority(config, next.as_ref(), dataset, primary, linked)
        });
        let in_sync = server.role == Role::Master || server.link_up;
        if in_sync && next.as_ref().is_some_and(|marker| marker.complete) {
            self.volume.noted = server.lead;
        }
        self.volume.marker = next;
        let server = self.server.as_mut().unwrap();
        server.linked = linked;
        server.priority = priority;
    }

    /// The agent's answer to an order.
    pub fn obey(
        &mut self,
        order: &TopologyOrder,
        config: &AgentConfig,
        votes: &[Option<Vote>],
        hosts: &[String],
        now_ms: u64,
        rng: &mut Rng,
    ) -> Result<(), Refusal> {
        if self.handover.is_some() {
            return Err(Refusal {
                reason: refusal::HANDOVER_RUNNING.to_owned(),
                message: "it hands its lead over".to_owned(),
            });
        }
        let rewriting = self
            .server
            .as_ref()
            .is_some_and(|server| server.rewriting > 0);
        let promoted = self.promoted(now_ms);
        let question = self.question(config, votes);
        let verdict = judge_order(order, &question, promoted)?;
        let busy = match &self.server {
            Some(server) => !server.answers(),
            None => !self.holding,
        };
        if busy {
            return Err(Refusal {
                reason: "Busy".to_owned(),
                message: "the server is not ready".to_owned(),
            });
        }
        self.volume.marker = Some(obeyed(order, &question, rewriting, self.keeps_aof()));
        if rng.one_in(40) {
            // Dies between the note and the deed.
            self.kill(1 + rng.below(3));
            return Ok(());
        }
        match (verdict, self.server.as_mut()) {
            (Verdict::Lead, None) => {
                self.launch(Role::Master, config.replica_priority, MadeBy::Order, 0);
            }
            (Verdict::Lead, Some(server)) => {
                server.promote(MadeBy::Order);
                server.priority = config.replica_priority;
            }
            (Verdict::Follow { pod, priority }, None) => {
                self.launch(
                    Role::Replica(index(hosts, &pod)),
                    priority,
                    MadeBy::Sentinels,
                    0,
                );
            }
            (Verdict::Follow { pod, priority }, Some(server)) => {
                self.ordered_away = server.role == Role::Master;
                server.replicate_from(index(hosts, &pod));
                server.priority = priority;
            }
        }
        Ok(())
    }

    /// What the agent reports.
    pub fn report(&self, hosts: &[String]) -> DataStatus {
        let phase = match &self.server {
            None if self.holding => Phase::Holding,
            None => Phase::Down,
            Some(server) if !server.answers() => Phase::Loading,
            Some(server) => match server.role {
                Role::Master => Phase::Leading,
                Role::Replica(None) => Phase::Sealed,
                Role::Replica(Some(primary)) => {
                    Phase::Following(hosts[primary].split('.').next().unwrap().to_owned())
                }
            },
        };
        let running = self.server.as_ref().filter(|server| server.answers());
        DataStatus {
            phase,
            marker: self.volume.marker.clone(),
            keys: running.map(|server| u64::from(server.memory.count_ones())),
            dataset: match &self.server {
                Some(server) => server.files_at_start,
                None => self.volume.files.is_some(),
            },
            replication: running.map(|server| ReplicationStatus {
                offset: 0,
                link_up: server.link_up,
                was_in_sync: server.link_up,
                syncing: server.syncing > 0,
                replicas: Vec::new(),
            }),
            handover: self.handover.is_some().then_some(HandoverReport {
                number: 1,
                cause: HandoverCause::Ordered,
                to: None,
                outcome: HandoverOutcome::Running,
            }),
            fenced: running.and_then(|server| server.watch.as_ref()?.fenced().cloned()),
            electorate: None,
            set_aside: false,
            config: BTreeMap::new(),
            refused_settings: BTreeMap::new(),
            library: None,
            consumers: None,
            flush: None,
        }
    }
}

/// The data pod of this name or host.
pub fn index(hosts: &[String], pod: &str) -> Option<usize> {
    hosts
        .iter()
        .position(|host| host == pod || host.split('.').next() == Some(pod))
}
