//! A bus that lives by itself beside the operator: what its pods, agents and Sentinels do, as simply as they can be told.

use crate::scene::{Scene, agent, empty, follows, fqdn, leads_as, primary, sealed};
use cachebus_api::CacheBusStatus;
use cachebus_api::status::Topology;
use cachebus_core::names::Component;
use cachebus_core::observed::{ClaimTemplate, ClaimView, Home, Node, PodView, SetView};
use cachebus_core::protocol::{
    DataStatus, FedReplica, HandoverCause, HandoverOutcome, HandoverReport, NodeStatus, Phase,
    SentinelStatus, TopologyOrder,
};
use std::collections::BTreeMap;

/// A revision whose pods never come up.
pub const BAD: u32 = 1;

#[derive(Clone, Debug, Default)]
pub struct Pod {
    pub uid: u32,
    pub revision: u32,
    /// Passes until it is there again.
    pub away: u8,
    /// It is away by the operator's doing.
    pub restarted: bool,
    /// Passes in which its agent is silent.
    pub unwell: u8,
    /// For how long its agent has been silent.
    silent_ms: u64,
    /// Number of its volume.
    pub volume: u32,
    /// Storage class of its volume.
    pub class: u32,
    /// Its volume is gone with its node.
    pub lost: bool,
    /// Passes until its volume holds all of the data.
    pub filling: u8,
    /// Newest epoch that its volume knows of.
    epoch: u64,
    /// A Sentinel on whose volume nothing is known of the bus.
    pub blank: bool,
}

pub struct World {
    pub scene: Scene,
    pub pods: BTreeMap<String, Pod>,
    pub status: CacheBusStatus,
    /// Revision of new pods.
    pub wanted: u32,
    /// Storage class of new volumes.
    pub class: u32,
    /// Whom Sentinels name.
    pub leader: String,
    /// It takes writes. One whose server ended is sealed until a majority of Sentinels, or an order, confirms it.
    pub leads: bool,
    config_epoch: u64,
    handover: Option<HandoverReport>,
    uids: u32,
}

pub fn is_data(pod: &str) -> bool {
    pod.starts_with("b-redis")
}

impl World {
    pub fn new() -> Self {
        let scene = Scene::well();
        let pod = |(name, _): (&String, &Node)| {
            let pod = Pod {
                epoch: 1,
                ..Pod::default()
            };
            (name.clone(), pod)
        };
        let observed = &scene.observed;
        let pods = observed.data.iter().chain(&observed.sentinels).map(pod);
        Self {
            pods: pods.collect(),
            status: CacheBusStatus {
                topology: Some(primary("b-redis-0", 1)),
                ..CacheBusStatus::default()
            },
            scene,
            wanted: 0,
            class: 0,
            leader: "b-redis-0".to_owned(),
            leads: true,
            config_epoch: 0,
            handover: None,
            uids: 0,
        }
    }

    pub fn topology(&self) -> &Topology {
        self.status.topology.as_ref().unwrap()
    }

    pub fn pod(&mut self, pod: &str) -> &mut Pod {
        self.pods.get_mut(pod).unwrap()
    }

    pub fn store_in(&mut self, class: u32) {
        if self.class != class {
            self.class = class;
            self.scene.bus.generation += 1;
            self.scene.bus.spec.storage.storage_class_name = Some(class.to_string());
        }
    }

    pub fn roll_to(&mut self, revision: u32) {
        if self.wanted != revision {
            self.wanted = revision;
            self.scene.bus.generation += 1;
        }
    }

    /// Whether a server runs.
    pub fn runs(&self, pod: &str) -> bool {
        let pod = &self.pods[pod];
        pod.away == 0 && pod.revision != BAD && !pod.lost
    }

    /// Whether a server runs and its agent answers.
    pub fn works(&self, pod: &str) -> bool {
        self.runs(pod) && self.pods[pod].unwell == 0
    }

    /// Whether a pod could lead without loss.
    pub fn is_whole(&self, pod: &str) -> bool {
        self.works(pod) && self.pods[pod].filling == 0
    }

    /// Whether so many Sentinels run that they agree on something.
    pub fn is_agreed(&self) -> bool {
        let sentinels = self.pods.iter().filter(|(name, _)| !is_data(name));
        let votes = sentinels.filter(|(name, pod)| self.runs(name) && !pod.blank);
        votes.count() >= 2
    }

    /// Sentinels have another pod lead, where they are enough and it is fit for it.
    pub fn move_to(&mut self, to: &str) {
        if self.is_agreed() && is_data(to) && self.leader != to && self.is_whole(to) {
            self.config_epoch += 1;
            let epoch = (self.pods[to].epoch + 1).max(self.config_epoch);
            self.lead(to, epoch);
        }
    }

    fn lead(&mut self, to: &str, epoch: u64) {
        to.clone_into(&mut self.leader);
        self.leads = true;
        self.pod(to).epoch = epoch;
    }

    /// What everybody but the operator does in a while. `chance`: whether Sentinels have noticed by now that nobody leads.
    pub fn live(&mut self, chance: u8) {
        for pod in self.pods.values_mut() {
            pod.away = pod.away.saturating_sub(1);
            pod.restarted &= pod.away > 0;
            pod.unwell = pod.unwell.saturating_sub(1);
            let fills = self.leads && pod.away == 0;
            pod.filling = pod.filling.saturating_sub(u8::from(fills));
        }
        let runs = self.runs(&self.leader);
        self.leads = runs && (self.leads || self.is_agreed());
        if !runs && chance.is_multiple_of(3) {
            let names: Vec<String> = self.pods.keys().cloned().collect();
            let fit = names
                .iter()
                .find(|name| is_data(name) && self.is_whole(name));
            if let Some(to) = fit {
                self.move_to(to);
            }
        }
    }

    /// A pod goes, and one from the present template comes in its place. `claim`: on an empty volume.
    pub fn replace(&mut self, name: &str, away: u8, claim: bool) {
        self.uids += 1;
        let before = self.pods[name].clone();
        let pod = Pod {
            uid: self.uids,
            revision: self.wanted,
            away,
            restarted: false,
            unwell: 0,
            ..before
        };
        let pod = if claim {
            Pod {
                volume: self.uids,
                class: self.class,
                lost: false,
                filling: if is_data(name) { 3 } else { 0 },
                epoch: 0,
                blank: true,
                ..pod
            }
        } else {
            pod
        };
        self.pods.insert(name.to_owned(), pod);
    }

    /// The agent of a data pod does what it is told, if that contradicts neither what it knows nor Sentinels.
    pub fn obey(&mut self, name: &str, order: &TopologyOrder) {
        let refuses = self.is_agreed() && order.primary != self.leader;
        if !self.works(name) || order.epoch < self.pods[name].epoch || refuses {
            return;
        }
        self.pod(name).epoch = order.epoch;
        if order.primary == name {
            assert!(
                !self.leads || self.leader == name,
                "{name} leads beside {}",
                self.leader
            );
            assert_eq!(self.pods[name].filling, 0, "{name} has not all of the data");
            self.lead(name, order.epoch);
        } else if self.leader == name {
            self.leads = false;
        }
    }

    /// The agent of the pod that leads hands the lead over. Returns whether it could.
    pub fn hand_over(&mut self, to: &str) -> bool {
        let may = self.leads && self.works(&self.leader) && self.is_agreed() && self.is_whole(to);
        if may {
            let epoch = self.pods[&self.leader].epoch.max(self.pods[to].epoch) + 1;
            self.config_epoch += 1;
            self.lead(to, epoch);
            let number = self.handover.as_ref().map_or(0, |report| report.number) + 1;
            self.handover = Some(HandoverReport {
                number,
                cause: HandoverCause::Ordered,
                to: Some(to.to_owned()),
                outcome: HandoverOutcome::Done { write_gap_ms: 50 },
            });
        }
        may
    }

    /// A second passes, and all is looked at.
    pub fn look(&mut self) {
        self.scene.observed.now_ms += 1_000;
        self.scene.observed.status = self.status.clone();
        for component in [Component::Redis, Component::Sentinel] {
            let revision = self.wanted.to_string();
            self.scene.observed.revisions.insert(component, revision);
            let bytes = if component == Component::Redis {
                "8Gi"
            } else {
                "1Gi"
            };
            let set = SetView {
                claim: ClaimTemplate {
                    size: bytes.to_owned(),
                    class: self.scene.bus.spec.storage.storage_class_name.clone(),
                },
                ..SetView::default()
            };
            self.scene.observed.sets.insert(component, set);
        }
        let names: Vec<String> = self.pods.keys().cloned().collect();
        for name in names {
            let works = self.works(&name);
            let pod = self.pod(&name);
            pod.silent_ms = if works { 0 } else { pod.silent_ms + 1_000 };
            let node = self.node(&name);
            let observed = &mut self.scene.observed;
            if is_data(&name) {
                observed.data.insert(name, node);
            } else {
                observed.sentinels.insert(name, node);
            }
        }
    }

    fn node(&self, name: &str) -> Node {
        let pod = &self.pods[name];
        if pod.away > 2 {
            return Node::default();
        }
        let works = self.works(name);
        let primary = self.topology().primary.as_deref() == Some(name);
        let role = if primary { "primary" } else { "replica" };
        let view = PodView {
            role: Some(role.to_owned()),
            uid: pod.uid.to_string(),
            ip: (!pod.lost).then(|| "10.0.0.1".to_owned()),
            ready: works,
            revision: Some(pod.revision.to_string()),
            trouble: (pod.revision == BAD || pod.lost).then(|| "it does not start".to_owned()),
            ..PodView::default()
        };
        let status = works.then(|| agent(name, self.says(name)));
        Node {
            pod: Some(view),
            agent: status,
            silent_ms: pod.silent_ms,
            claim: Some(ClaimView {
                uid: pod.volume.to_string(),
                class: Some(pod.class.to_string()),
                home: if pod.lost {
                    Home::Gone("n".to_owned())
                } else {
                    Home::Somewhere
                },
                ..ClaimView::default()
            }),
            ..Node::default()
        }
    }

    fn says(&self, name: &str) -> NodeStatus {
        if is_data(name) {
            return NodeStatus::Redis(Box::new(DataStatus {
                handover: self.handover.clone(),
                ..self.holds(name)
            }));
        }
        let ordinal = name.rsplit_once('-').unwrap().1.parse().unwrap();
        let watch = self.scene.watch(ordinal, &self.leader, self.config_epoch);
        NodeStatus::Sentinel(SentinelStatus {
            up: true,
            run_id: Some(format!("id-of-{name}")),
            monitored: (!self.pods[name].blank).then_some(watch),
        })
    }

    fn holds(&self, name: &str) -> DataStatus {
        let (pod, leader) = (&self.pods[name], &self.leader);
        if name == leader && !self.leads {
            return sealed(7, leader, pod.epoch);
        }
        if name == leader {
            let mut data = leads_as(leader, pod.epoch);
            let replicas = self.pods.keys();
            let replicas = replicas.filter(|pod| is_data(pod) && *pod != leader && self.runs(pod));
            data.replication.as_mut().unwrap().replicas = replicas
                .map(|pod| FedReplica {
                    host: fqdn(pod),
                    online: true,
                    lag: 0,
                })
                .collect();
            return data;
        }
        let mut data = follows(leader, pod.epoch);
        data.replication.as_mut().unwrap().link_up = self.leads;
        if pod.filling > 0 {
            let phase = Phase::Following(leader.clone());
            let replication = data.replication;
            data = DataStatus {
                phase,
                replication,
                ..empty()
            };
        }
        data
    }
}
