//! Whole rollouts, with faults, bad templates, other storage classes, lost nodes, refused handovers and a second operator that
//! comes late.

use crate::scene::{Scene, agent, desired, follows, fqdn, leads, primary};
use crate::status::condition;
use cachebus_api::CacheBusStatus;
use cachebus_api::status::Topology;
use cachebus_core::names::Component;
use cachebus_core::observed::{ClaimTemplate, ClaimView, Home, Node, PodView, SetView};
use cachebus_core::plan::{
    Action, handover_intended, plan, refused, replacement_intended, restart_intended,
};
use cachebus_core::protocol::{
    FedReplica, HandoverCause, HandoverOutcome, HandoverReport, NodeStatus, Refusal, SentinelStatus,
};
use cachebus_core::status::{kind, recorded, report};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Passes in which a rollout must end once there are no faults any more.
const HEALING: usize = 120;

/// A revision whose pods never come up.
const BAD: u32 = 1;

#[derive(Clone, Debug)]
struct Pod {
    uid: u32,
    revision: u32,
    /// Passes until it is there again, because it was restarted.
    away: u8,
    /// Passes in which something is wrong with it.
    unwell: u8,
    /// Number of its volume.
    volume: u32,
    /// Storage class of its volume.
    class: u32,
    /// Its volume is gone with its node.
    lost: bool,
    /// Passes until its volume holds all of the data.
    filling: u8,
}

struct Run {
    scene: Scene,
    pods: BTreeMap<String, Pod>,
    wanted: u32,
    class: u32,
    /// A node was lost in this run.
    losses: bool,
    leader: String,
    config_epoch: u64,
    handover: Option<HandoverReport>,
    uids: u32,
    status: CacheBusStatus,
    /// What a second operator decided and has not done yet.
    late: Option<Action>,
    /// Every restart: pod, generation and revision that it was for.
    restarts: Vec<(String, i64, u32)>,
}

impl Run {
    fn new() -> Self {
        let scene = Scene::well();
        let names = scene
            .observed
            .data
            .keys()
            .chain(scene.observed.sentinels.keys());
        let pods = names.map(|name| {
            let pod = Pod {
                uid: 0,
                revision: 0,
                away: 0,
                unwell: 0,
                volume: 0,
                class: 0,
                lost: false,
                filling: 0,
            };
            (name.clone(), pod)
        });
        Self {
            pods: pods.collect(),
            status: CacheBusStatus {
                topology: Some(primary("b-redis-0", 1)),
                ..CacheBusStatus::default()
            },
            scene,
            wanted: 0,
            class: 0,
            losses: false,
            leader: "b-redis-0".to_owned(),
            config_epoch: 0,
            handover: None,
            uids: 1,
            late: None,
            restarts: Vec::new(),
        }
    }

    /// What people and chance do.
    fn disturb(&mut self, choice: u8) {
        let pods: Vec<String> = self.pods.keys().cloned().collect();
        let some = &pods[usize::from(choice / 8) % pods.len()];
        match choice % 8 {
            0 => self.roll_to(u32::from(choice / 8) % 4),
            1 => self.pods.get_mut(some).unwrap().unwell = 3,
            2 => {
                let to = some.clone();
                if self.works(&to) && self.leader != to && to.starts_with("b-redis") {
                    self.lead(&to);
                }
            }
            3 => self.store_in(u32::from(choice / 8) % 3),
            4 if choice > 200 => self.lose_node_of(some),
            _ => {}
        }
    }

    fn store_in(&mut self, class: u32) {
        if self.class != class {
            self.class = class;
            self.scene.bus.generation += 1;
            self.scene.bus.spec.storage.storage_class_name = Some(class.to_string());
        }
    }

    /// The leader's is not lost: who leads then is the business of other tests.
    fn lose_node_of(&mut self, pod: &str) {
        if self.leader != pod && self.topology().primary.as_deref() != Some(pod) {
            self.losses = true;
            let pod = self.pods.get_mut(pod).unwrap();
            pod.lost = true;
            pod.away = 0;
        }
    }

    fn roll_to(&mut self, revision: u32) {
        if self.wanted != revision {
            self.wanted = revision;
            self.scene.bus.generation += 1;
        }
    }

    fn lead(&mut self, to: &str) {
        to.clone_into(&mut self.leader);
        self.config_epoch += 1;
    }

    fn works(&self, pod: &str) -> bool {
        let pod = &self.pods[pod];
        pod.away == 0 && pod.unwell == 0 && pod.revision != BAD && !pod.lost
    }

    /// Whether a pod could lead without loss.
    fn is_whole(&self, pod: &str) -> bool {
        self.works(pod) && self.pods[pod].filling == 0
    }

    fn look(&mut self) {
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
            let node = self.node(&name);
            let observed = &mut self.scene.observed;
            if name.starts_with("b-redis") {
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
        if name.starts_with("b-sentinel") {
            let ordinal = name.rsplit_once('-').unwrap().1.parse().unwrap();
            return NodeStatus::Sentinel(SentinelStatus {
                up: true,
                run_id: Some(format!("id-of-{name}")),
                monitored: Some(self.scene.watch(ordinal, &self.leader, self.config_epoch)),
            });
        }
        let epoch = self.status.topology.as_ref().unwrap().epoch;
        let mut data = if name == self.leader {
            leads(epoch)
        } else {
            follows(&self.leader, epoch)
        };
        let marker = data.marker.as_mut().unwrap();
        marker.primary.clone_from(&self.leader);
        marker.complete = self.pods[name].filling == 0;
        if name == self.leader {
            let replicas = self.pods.keys().filter(|pod| pod.starts_with("b-redis"));
            let replicas = replicas.filter(|pod| **pod != self.leader && self.works(pod));
            data.replication.as_mut().unwrap().replicas = replicas
                .map(|pod| FedReplica {
                    host: fqdn(pod),
                    online: true,
                    lag: 0,
                })
                .collect();
        }
        if self.handover.is_some() {
            data.handover.clone_from(&self.handover);
        }
        NodeStatus::Redis(Box::new(data))
    }

    /// A pass, and what follows from it. `chance`: how a handover ends, how long a restart takes, who comes late.
    fn pass(&mut self, chance: u8) {
        for pod in self.pods.values_mut() {
            pod.away = pod.away.saturating_sub(1);
            pod.unwell = pod.unwell.saturating_sub(1);
            pod.filling = pod.filling.saturating_sub(u8::from(pod.away == 0));
        }
        self.look();
        let plan = plan(&self.scene.bus, &self.scene.observed, &desired());
        let changes = plan.actions.iter();
        let changes = changes.filter(|action| action.changes_topology(&self.scene.observed));
        assert!(changes.count() <= 1, "{:?}", plan.actions);
        if let Some(late) = self.late.take_if(|_| chance.is_multiple_of(3)) {
            self.carry_out(&late, chance);
        }
        for action in &plan.actions {
            if chance.is_multiple_of(5) && matches!(action, Action::Restart { .. }) {
                self.late = Some(action.clone());
            }
            self.carry_out(action, chance);
        }
    }

    fn topology(&self) -> &Topology {
        self.status.topology.as_ref().unwrap()
    }

    fn carry_out(&mut self, action: &Action, chance: u8) {
        match action {
            Action::Record(topology) => {
                self.scene.observed.status = self.status.clone();
                self.status = recorded(&self.scene.bus, &self.scene.observed, topology);
            }
            Action::Restart { pod, uid, claim } => {
                self.restart(pod, uid, claim.as_deref(), chance);
            }
            Action::HandOver { pod, order } => {
                if !handover_intended(self.topology(), pod, order) || *pod != self.leader {
                    return;
                }
                let to = order.to.clone().unwrap();
                if chance.is_multiple_of(4) || !self.works(&to) {
                    let refusal = Refusal {
                        reason: "NotInSync".to_owned(),
                        message: "no".to_owned(),
                    };
                    self.status.topology = Some(refused(self.topology(), &refusal));
                    return;
                }
                self.lead(&to);
                let number = self.handover.as_ref().map_or(0, |report| report.number) + 1;
                self.handover = Some(HandoverReport {
                    number,
                    cause: HandoverCause::Ordered,
                    to: Some(to),
                    outcome: HandoverOutcome::Done { write_gap_ms: 50 },
                });
            }
            _ => {}
        }
    }

    fn restart(&mut self, name: &str, uid: &str, claim: Option<&str>, chance: u8) {
        let intended = restart_intended(self.topology(), name, uid, false);
        if !intended || self.pods[name].uid.to_string() != uid || name == self.leader {
            return;
        }
        assert_ne!(
            self.topology().primary.as_deref(),
            Some(name),
            "the primary"
        );
        let before = self.pods[name].clone();
        if let Some(claim) = claim {
            let intended = replacement_intended(self.topology(), name, claim);
            let leads = self.works(&self.leader) || name.starts_with("b-sentinel");
            if !intended || claim != before.volume.to_string() || !leads {
                return;
            }
            self.claim_not_needed(name);
        }
        // One that does not work is missing already.
        let mut others = self.pods.iter().filter(|(other, _)| *other != name);
        let away = others.find(|(_, pod)| pod.away > 0 && self.works(name));
        assert!(away.is_none(), "{name} goes while {away:?} is away");
        let restart = (name.to_owned(), self.scene.bus.generation, self.wanted);
        if claim.is_none() && !self.losses {
            assert!(!self.restarts.contains(&restart), "{restart:?} again");
        }
        self.restarts.push(restart);
        self.uids += 1;
        let pod = Pod {
            uid: self.uids,
            revision: self.wanted,
            away: 3 + chance % 4,
            unwell: 0,
            ..before
        };
        let pod = match claim {
            None => pod,
            Some(_) => Pod {
                volume: self.uids,
                class: self.class,
                lost: false,
                filling: if name.starts_with("b-redis") { 3 } else { 0 },
                ..pod
            },
        };
        self.pods.insert(name.to_owned(), pod);
    }

    /// A volume is given up only where every other copy is whole, or where nobody reaches it any more and the leader has all.
    fn claim_not_needed(&self, name: &str) {
        if name.starts_with("b-sentinel") {
            return;
        }
        if self.pods[name].lost {
            assert!(self.is_whole(&self.leader), "{:#?}", self.pods);
            return;
        }
        let copies = self.pods.keys().filter(|pod| pod.starts_with("b-redis"));
        for other in copies.filter(|other| *other != name) {
            assert!(
                self.is_whole(other),
                "{name} beside {other}: {:#?}",
                self.pods
            );
        }
    }

    fn is_over(&mut self) -> bool {
        self.look();
        let plan = plan(&self.scene.bus, &self.scene.observed, &desired());
        let classless = self.scene.bus.spec.storage.storage_class_name.is_none();
        let rolled = self.pods.values().all(|pod| {
            pod.revision == self.wanted && !pod.lost && (classless || pod.class == self.class)
        });
        let over = rolled && plan.actions.is_empty() && plan.blocked.is_empty();
        if over {
            let status = report(&self.scene.bus, &self.scene.observed, &plan, &desired());
            assert_eq!(condition(&status, kind::ROLLOUT_COMPLETE).status, "True");
            assert_eq!(status.topology.unwrap().restart, None);
        }
        over
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn one_pod_at_a_time_never_the_primary_and_in_the_end_all(
        trouble in prop::collection::vec((any::<u8>(), any::<u8>()), 0..60),
        calm in any::<u8>(),
    ) {
        let mut run = Run::new();
        run.roll_to(2);
        for (choice, chance) in trouble {
            run.disturb(choice);
            run.pass(chance);
        }
        run.roll_to(3);
        let mut over = false;
        for passes in 0..HEALING {
            let chance = calm.wrapping_mul(31).wrapping_add(u8::try_from(passes).unwrap());
            // Handovers that were refused are tried again later.
            run.scene.observed.now_ms += if passes % 10 == 9 { 90_000 } else { 0 };
            run.pass(chance);
            over = over || run.is_over();
        }
        prop_assert!(over, "{:#?} {:?}", run.pods, run.status.topology);
    }
}
