//! Sentinels join and leave one at a time, whatever happens meanwhile, and no two majorities miss one another.

use crate::scene::{Scene, agent, desired, fqdn};
use crate::status::condition;
use cachebus_api::status::{Electorate, Topology};
use cachebus_core::config::agent_json;
use cachebus_core::names::Component;
use cachebus_core::observed::{Node, PodView};
use cachebus_core::plan::{Action, Plan, plan, reason, retirement_intended};
use cachebus_core::protocol::{KnownSentinel, Monitored, NodeStatus, SentinelStatus};
use cachebus_core::status::{kind, report};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Passes in which all is as the spec asks for, once nothing disturbs any more.
const HEALING: usize = 150;

/// One Sentinel that runs.
#[derive(Clone, Debug, Default)]
struct Watcher {
    /// The others that it counts; `None`: it watches nobody.
    known: Option<BTreeSet<u32>>,
    quorum: u32,
    /// Passes until it answers.
    away: u8,
    /// It has just forgotten its replicas.
    finding: bool,
}

struct Run {
    scene: Scene,
    topology: Topology,
    sentinels: BTreeMap<u32, Watcher>,
    /// Sentinels that each data pod counts, and passes until it reads the mounted number.
    counts: [(u32, u8); 3],
    /// Passes since each that is gone was last heard.
    silent: BTreeMap<u32, u8>,
}

impl Run {
    fn new() -> Self {
        let watcher = |own| Watcher {
            known: Some((0..3).filter(|other| *other != own).collect()),
            quorum: 2,
            ..Watcher::default()
        };
        let scene = Scene::well();
        Self {
            topology: scene.observed.status.topology.clone().unwrap(),
            scene,
            sentinels: (0..3).map(|own| (own, watcher(own))).collect(),
            counts: [(3, 0); 3],
            silent: BTreeMap::new(),
        }
    }

    fn disturb(&mut self, choice: u8) {
        let some = u32::from(choice / 8) % 7;
        match choice % 8 {
            0 => self.scene.bus.spec.sentinel.replicas = [3, 5, 7][some as usize % 3],
            1 => {
                if let Some(sentinel) = self.sentinels.get_mut(&some) {
                    sentinel.away = 4;
                }
            }
            // Its volume is lost.
            2 => {
                if let Some(sentinel) = self.sentinels.get_mut(&some) {
                    sentinel.known = None;
                }
            }
            3 => self.counts[some as usize % 3].1 = 9,
            _ => {}
        }
    }

    /// What everybody but the operator does in a while.
    fn live(&mut self, mounted: u32, pods: u32) {
        for (count, delay) in &mut self.counts {
            *delay = delay.saturating_sub(1);
            if *delay == 0 && *count != mounted {
                (*count, *delay) = (mounted, 3);
            }
        }
        self.sentinels.retain(|own, _| *own < pods);
        for own in 0..pods {
            let young = || Watcher {
                away: 2,
                ..Watcher::default()
            };
            self.sentinels.entry(own).or_insert_with(young);
        }
        for sentinel in self.sentinels.values_mut() {
            sentinel.away = sentinel.away.saturating_sub(1);
            sentinel.finding = false;
        }
        let talking: Vec<u32> = self
            .sentinels
            .iter()
            .filter(|(_, sentinel)| sentinel.away == 0 && sentinel.known.is_some())
            .map(|(own, _)| *own)
            .collect();
        for own in &talking {
            let known = self.sentinels.get_mut(own).unwrap().known.as_mut().unwrap();
            known.extend(talking.iter().filter(|other| *other != own));
        }
        for other in 0..8 {
            let silence = self.silent.entry(other).or_default();
            let talks = talking.contains(&other);
            *silence = if talks { 0 } else { silence.saturating_add(1) };
        }
    }

    fn look(&mut self) {
        let scene = &mut self.scene;
        scene.observed.now_ms += 2_000;
        scene.observed.status.topology = Some(self.topology.clone());
        scene.bus = scene.bus.of_record(Some(&self.topology));
        for (pod, (count, _)) in scene.observed.data.values_mut().zip(self.counts) {
            if let NodeStatus::Redis(data) = &mut pod.agent.as_mut().unwrap().node {
                data.electorate = Some(count);
            }
        }
        let settings = agent_json(&scene.bus).monitor;
        scene.observed.sentinels = self
            .sentinels
            .iter()
            .map(|(own, sentinel)| {
                let pod = scene.bus.names.pod(Component::Sentinel, *own);
                let names = |other: &u32| fqdn(&format!("b-sentinel-{other}"));
                let monitored = sentinel.known.as_ref().map(|known| Monitored {
                    host: fqdn("b-redis-0"),
                    port: 6379,
                    config_epoch: 0,
                    quorum: sentinel.quorum,
                    settings: settings.clone(),
                    down: false,
                    failing_over: false,
                    promoting: false,
                    replicas: (1..3)
                        .filter(|_| !sentinel.finding)
                        .map(|replica| fqdn(&format!("b-redis-{replica}")))
                        .collect(),
                    peers: known.iter().map(names).collect(),
                    known: known
                        .iter()
                        .map(|other| KnownSentinel {
                            host: names(other),
                            run_id: other.to_string(),
                            silent: self.silent.get(other).is_some_and(|silence| *silence > 15),
                        })
                        .collect(),
                });
                let status = SentinelStatus {
                    up: true,
                    run_id: Some(own.to_string()),
                    monitored,
                };
                let report = agent(&pod, NodeStatus::Sentinel(status));
                let node = Node {
                    agent: (sentinel.away == 0).then_some(report),
                    pod: Some(PodView {
                        ready: sentinel.away == 0,
                        ip: Some("10.0.0.1".to_owned()),
                        ..PodView::default()
                    }),
                    ..Node::default()
                };
                (pod, node)
            })
            .collect();
    }

    fn pass(&mut self) {
        self.look();
        for action in plan(&self.scene.bus, &self.scene.observed, &desired()).actions {
            let names = &self.scene.bus.names;
            match action {
                Action::Record(topology) => self.topology = topology,
                Action::Monitor { pod, order } => {
                    let own = names.sentinel_ordinal(&pod).unwrap();
                    let met = order
                        .peers
                        .iter()
                        .filter_map(|peer| peer.run_id.parse().ok());
                    let sentinel = self.sentinels.get_mut(&own).unwrap();
                    sentinel.quorum = order.quorum;
                    sentinel.finding = !order.forget.is_empty();
                    let known = sentinel.known.get_or_insert_default();
                    known.extend(met.collect::<Vec<u32>>());
                    known.retain(|other| !order.forget.contains(&other.to_string()));
                }
                Action::Retire { pod, .. } => {
                    assert!(retirement_intended(&self.topology, names, &pod));
                    let own = names.sentinel_ordinal(&pod).unwrap();
                    self.sentinels.get_mut(&own).unwrap().known = None;
                }
                Action::Label { .. } | Action::Refresh { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let Electorate { members, pods } = self.topology.sentinels.unwrap();
        self.claim_majorities_meet(members);
        self.live(members, pods);
    }

    /// Any two sets of Sentinels by which somebody may let a pod lead have one in common. Sets are as small as can be: of the
    /// agents' numbers, and of what each Sentinel counts, bounded by its quorum. One that watches nobody is counted and has no
    /// vote.
    fn claim_majorities_meet(&self, members: u32) {
        let counted = self.counts.iter().map(|(count, _)| *count).chain([members]);
        let by_number = counted.map(|count| ((0..count).collect(), count / 2 + 1));
        let by_election = self.sentinels.iter().filter_map(|(own, sentinel)| {
            let mut voters: BTreeSet<u32> = sentinel.known.clone()?;
            voters.insert(*own);
            let needed = (u32::try_from(voters.len()).unwrap() / 2 + 1).max(sentinel.quorum);
            voters.retain(|voter| {
                let voter = self.sentinels.get(voter);
                voter.is_some_and(|voter| voter.known.is_some())
            });
            Some((voters, needed))
        });
        let bodies: Vec<(BTreeSet<u32>, u32)> = by_number.chain(by_election).collect();
        for (one, needs) in &bodies {
            for (other, also_needs) in &bodies {
                let all = u32::try_from(one.union(other).count()).unwrap();
                let possible = *needs as usize <= one.len() && *also_needs as usize <= other.len();
                assert!(
                    !possible || needs + also_needs > all,
                    "{needs} of {one:?} and {also_needs} of {other:?} need not meet"
                );
            }
        }
    }

    fn is_exact(&self) -> bool {
        let wanted = self.scene.bus.spec.sentinel.replicas;
        let electorate = Some(Electorate {
            members: wanted,
            pods: wanted,
        });
        let exact = |(own, sentinel): (&u32, &Watcher)| {
            let others = (0..wanted).filter(|other| other != own).collect();
            sentinel.known == Some(others) && sentinel.quorum == wanted / 2 + 1
        };
        self.topology.sentinels == electorate
            && self.counts.iter().all(|(count, _)| *count == wanted)
            && self.sentinels.iter().all(exact)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn sentinels_scale_through_faults_and_majorities_always_meet(
        choices in prop::collection::vec(any::<u8>(), 1..150),
    ) {
        let mut run = Run::new();
        for choice in choices {
            run.disturb(choice);
            run.pass();
        }
        for _ in 0..HEALING {
            run.pass();
        }
        prop_assert!(run.is_exact(), "{:?} {:?} {:?}", run.topology, run.sentinels, run.scene.plan());
        prop_assert_eq!(run.scene.reasons(), Vec::<&str>::new());
    }
}

/// The record of a plan: members and pods.
fn recorded(scene: &Scene) -> (u32, u32) {
    let electorate = scene.record().sentinels.unwrap();
    (electorate.members, electorate.pods)
}

fn asked_for(sentinels: u32) -> Scene {
    let mut scene = Scene::well();
    scene.bus.spec.sentinel.replicas = sentinels;
    scene
}

#[test]
fn a_pod_is_added_before_it_counts_and_counted_out_before_it_goes() {
    assert_eq!(recorded(&asked_for(5)), (3, 4));
    assert_eq!(recorded(&asked_for(1)), (2, 3));
}

#[test]
fn the_first_record_holds_the_number_that_the_pods_were_made_with() {
    let mut scene = Scene::well();
    scene.observed.status.topology.as_mut().unwrap().sentinels = None;
    assert_eq!(recorded(&scene), (3, 3));
}

#[test]
fn nothing_is_begun_before_everybody_counts_as_before_or_while_anything_is_unwell() {
    let mut scene = asked_for(5);
    let node = scene.observed.data.get_mut("b-redis-2").unwrap();
    if let NodeStatus::Redis(data) = &mut node.agent.as_mut().unwrap().node {
        data.electorate = Some(4);
    }
    assert_eq!(scene.actions(), []);
    assert_eq!(scene.reasons(), [reason::SCALING_SENTINELS]);
    let mut scene = asked_for(5);
    scene.pod("b-redis-1").ready = false;
    assert_eq!(scene.actions(), []);
}

#[test]
fn a_sentinel_retires_only_where_the_record_counts_it_no_more() {
    let scene = asked_for(3);
    let mut topology = scene.observed.status.topology.clone().unwrap();
    let names = &scene.bus.names;
    assert!(!retirement_intended(&topology, names, "b-sentinel-2"));
    topology.sentinels = Some(Electorate {
        members: 2,
        pods: 3,
    });
    assert!(retirement_intended(&topology, names, "b-sentinel-2"));
    topology.sentinels = None;
    assert!(!retirement_intended(&topology, names, "b-sentinel-2"));
}

#[test]
fn a_bus_is_not_ready_before_its_sentinels_are_as_many_as_asked_for() {
    let mut scene = asked_for(4);
    scene.observed.status.topology.as_mut().unwrap().sentinels = Some(Electorate {
        members: 3,
        pods: 4,
    });
    scene.bus = scene.bus.of_record(scene.observed.status.topology.as_ref());
    // A pass that orders something else says nothing of it.
    let status = report(&scene.bus, &scene.observed, &Plan::default(), &desired());
    let rollout = condition(&status, kind::ROLLOUT_COMPLETE);
    assert_eq!(rollout.reason, reason::SCALING_SENTINELS);
    assert_eq!(condition(&status, kind::READY).status, "False");
}
