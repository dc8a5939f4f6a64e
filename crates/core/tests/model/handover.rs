//! The agent of a node that leads hands its lead over, by the real rules and one step at a time. It may stall or die between any
//! two steps, answers get lost, and operators go on ordering what they saw before.

use crate::data_node::{MadeBy, Role, Server};
use crate::sentinel::switch;
use crate::world::World;
use cachebus_core::handover::{
    Copy, Handover, Limits, Own, Scene, Seen, Side, Stance, Step, judge, still_wanted,
};
use cachebus_core::protocol::{HandoverOutcome, Refusal};
use cachebus_core::seal::Vote;
use std::time::Duration;

/// How long a step takes, milliseconds.
const STEP_MS: u64 = 20;
/// How long orders leave a lead alone that has just begun, milliseconds.
const LEFT_ALONE_MS: u64 = 3_000;
/// More steps than a handover has without faults.
const TO_THE_END: usize = 40;

/// A handover under way.
#[derive(Clone, Debug)]
pub struct Errand {
    handover: Handover,
    step: Step,
    pub to: usize,
    pub others: Vec<usize>,
    crashed: bool,
    /// The pod is stopped once it has ended.
    stopping: bool,
    begun_ms: u64,
    steps: u64,
    pub promoted_ms: Option<u64>,
    /// Sentinels take no announcement of it.
    deaf: bool,
    /// The Sentinel that is to do its own failover.
    pub sentinel: Option<usize>,
    /// The replicas in the stream when that one was picked.
    pub fed: Vec<String>,
    /// A command went wrong, so that who leads in the end cannot be said.
    troubled: bool,
}

impl World {
    /// Perhaps handovers begin; those under way go on for a while.
    pub fn hand_over(&mut self) {
        let hosts = &self.hosts;
        self.before = self.nodes.iter().map(|node| node.report(hosts)).collect();
        for node in 0..self.nodes.len() {
            if !self.calm && self.nodes[node].writable() && self.rng.one_in(3) {
                let stopping = self.rng.one_in(3);
                self.begin_handover(node, None, stopping);
            }
            let steps = if self.calm {
                TO_THE_END
            } else {
                self.rng.below(20)
            };
            for _ in 0..steps {
                if self.nodes[node].handover.is_none() {
                    break;
                }
                if !self.calm && self.rng.one_in(60) {
                    self.say(|| format!("{} dies in handing over", self.nodes[node].name));
                    let away = 1 + self.rng.below(5);
                    self.nodes[node].kill(away);
                    break;
                }
                self.take_step(node);
                self.claim_one_primary();
                self.meanwhile(node);
            }
        }
        self.before.clear();
    }

    /// The world goes on between two steps.
    fn meanwhile(&mut self, node: usize) {
        if self.rng.one_in(2) {
            self.write();
        }
        let Some(to) = self.nodes[node].handover.as_ref().map(|errand| errand.to) else {
            return;
        };
        for follower in [node, to] {
            if self.rng.one_in(2) {
                self.replicate(follower);
            }
        }
        if !self.calm && self.rng.one_in(3) {
            let operator = self.rng.below(self.operators.len());
            self.operate(operator);
        }
    }

    /// The server of this node has crashed, having led; its agent hands the lead on.
    pub fn hand_over_after_crash(&mut self, node: usize, fed: Vec<String>) {
        self.begin_handover(node, Some(fed), false);
    }

    /// The replicas in the stream of a node that leads.
    pub fn fed_pods(&self, node: usize) -> Vec<String> {
        let linked = self.nodes.iter().filter(|replica| {
            replica
                .server
                .as_ref()
                .is_some_and(|server| server.link_up && server.role == Role::Replica(Some(node)))
        });
        linked.map(|replica| replica.name.clone()).collect()
    }

    fn begin_handover(&mut self, node: usize, crashed: Option<Vec<String>>, stopping: bool) {
        let has_crashed = crashed.is_some();
        let fed = crashed.unwrap_or_else(|| self.fed_pods(node));
        let own = Own::new("h".to_owned(), fed.into_iter().map(|pod| (pod, None)));
        let copies: Vec<Copy> = (0..self.nodes.len())
            .filter(|other| *other != node && self.reaches(node, *other))
            .map(|other| self.copy(node, other, &own.fed))
            .collect();
        let stances = self.stances(node);
        let scene = Scene {
            names: &self.bus.names,
            pod: &self.nodes[node].name,
            epoch: self.nodes[node].known_epoch(&self.config),
            crashed: has_crashed,
            to: None,
            stances: &stances,
            own: &own,
            copies: &copies,
        };
        let Ok(choice) = judge(&scene) else {
            return;
        };
        self.say(|| format!("{} hands over to {choice:?}", self.nodes[node].name));
        let limits = Limits::of(Duration::from_secs(5));
        let deaf = !self.calm && self.rng.one_in(3);
        let mut handover = Handover::new(choice.clone(), has_crashed, limits);
        self.nodes[node].handover = Some(Errand {
            step: handover.begin(),
            handover,
            to: self.node_of(&choice.to),
            others: choice.others.iter().map(|pod| self.node_of(pod)).collect(),
            crashed: has_crashed,
            stopping,
            begun_ms: self.now_ms,
            steps: 0,
            promoted_ms: None,
            deaf,
            sentinel: None,
            fed: Vec::new(),
            troubled: false,
        });
    }

    pub fn copy(&self, node: usize, other: usize, fed: &[String]) -> Copy {
        let copy = &self.nodes[other];
        let server = copy.server.as_ref().unwrap();
        let follows = match server.role {
            Role::Replica(Some(primary)) => Some(self.nodes[primary].name.clone()),
            Role::Replica(None) | Role::Master => None,
        };
        let in_stream = fed.contains(&copy.name);
        Copy {
            pod: copy.name.clone(),
            leads: server.role == Role::Master,
            follows,
            link_up: server.link_up && self.nodes[node].server.is_some(),
            loading: server.syncing > 0,
            priority: server.priority,
            history: if in_stream { "h" } else { "another" }.to_owned(),
            offset: u64::from(server.memory.count_ones()),
        }
    }

    pub fn stances(&self, node: usize) -> Vec<Option<Stance>> {
        let side = self.nodes[node].side;
        let stances = self.sentinels.iter().map(|sentinel| {
            let watch = sentinel.watch.as_ref()?;
            let told = sentinel.runs() && sentinel.side == side && !watch.peers.is_empty();
            told.then(|| Stance {
                vote: Vote {
                    primary_host: self.hosts[watch.primary].clone(),
                    config_epoch: watch.config_epoch,
                },
                failing_over: sentinel.is_failing_over(),
                highest_epoch: sentinel.current_epoch,
            })
        });
        stances.collect()
    }

    /// Whether one node's agent reaches another's server.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        let there = &self.nodes[to];
        there.runs()
            && there.side == self.nodes[from].side
            && there.server.as_ref().is_some_and(Server::answers)
    }

    fn take_step(&mut self, node: usize) {
        let errand = self.nodes[node].handover.clone().unwrap();
        if let Step::End(outcome) = &errand.step {
            self.end_handover(node, &errand, outcome);
            return;
        }
        let fate = if self.calm { 0 } else { self.rng.below(40) };
        let seen = match fate {
            1 => failed(),
            2 => {
                self.take_effect(node, &errand);
                failed()
            }
            _ => self.take_effect(node, &errand).unwrap_or_else(failed),
        };
        self.say(|| format!("{}: {:?}: {seen:?}", self.nodes[node].name, errand.step));
        let now_ms = self.now_ms;
        let Some(errand) = self.nodes[node].handover.as_mut() else {
            return;
        };
        errand.troubled |= matches!(seen, Seen::Failed(_)) && errand.step != Step::Pick;
        errand.steps += 1;
        let elapsed = now_ms - errand.begun_ms + errand.steps * STEP_MS;
        errand.step = errand.handover.next(seen, Duration::from_millis(elapsed));
    }

    /// What a step does, and what is seen of it; `None`: nobody answers.
    fn take_effect(&mut self, node: usize, errand: &Errand) -> Option<Seen> {
        let index = |side| match side {
            Side::Own => node,
            Side::Chosen => errand.to,
        };
        match &errand.step {
            Step::Hold => self.nodes[node].held = self.reached(node, node)?,
            Step::Release => self.nodes[node].held = false,
            Step::Compare => {
                self.reached(node, node)?;
                self.reached(node, errand.to)?;
                let offset = |node: usize| u64::from(self.nodes[node].data().count_ones());
                let wanted =
                    still_wanted(&self.bus.names, &self.nodes[node].name, &self.stances(node));
                return Some(Seen::Offsets {
                    own: offset(node),
                    chosen: offset(errand.to),
                    wanted,
                });
            }
            Step::Demote(side) => {
                self.reached(node, index(*side))?;
                let primary = match side {
                    Side::Own => errand.to,
                    Side::Chosen => node,
                };
                let server = self.nodes[index(*side)].server.as_mut()?;
                server.replicate_from(Some(primary));
            }
            Step::Promote(side) => {
                self.reached(node, index(*side))?;
                self.lead_by_handover(index(*side), node, errand);
            }
            Step::Ask => {
                self.reached(node, errand.to)?;
                return Some(Seen::Leads(self.nodes[errand.to].writable()));
            }
            Step::Announce(side, epoch) => {
                let taken = self.announce(node, index(*side), *epoch);
                return Some(Seen::Named {
                    taken,
                    declined: if errand.deaf { self.sentinels.len() } else { 0 },
                });
            }
            Step::Feeds(side) => {
                let feeds = !self.fed_pods(index(*side)).is_empty();
                return Some(Seen::Feeds(feeds));
            }
            Step::Back => {
                let backed = !self.fed_pods(errand.to).is_empty();
                return Some(Seen::Backed(backed));
            }
            Step::CompareAll => return self.compare_all(node, errand),
            Step::Pick => return Some(self.pick(node)),
            Step::FailOver => return self.fail_over_by_order(node, errand),
            Step::Watch => return Some(self.watch_failover(node, errand)),
            Step::Abort => return self.abort(node, errand),
            Step::Gather | Step::Call => {
                for other in &errand.others {
                    if self.reaches(node, *other) {
                        let server = self.nodes[*other].server.as_mut()?;
                        server.replicate_from(Some(errand.to));
                    }
                }
            }
            Step::End(_) => {}
        }
        Some(Seen::Done)
    }

    pub fn reached(&self, from: usize, to: usize) -> Option<bool> {
        self.reaches(from, to).then_some(true)
    }

    fn lead_by_handover(&mut self, leads: usize, node: usize, errand: &Errand) {
        let other = if leads == node { errand.to } else { node };
        let led = self.nodes[leads].writable();
        let now_ms = self.now_ms;
        // A planned one takes over only all that the other has acknowledged.
        if !errand.crashed && !led && self.reaches(node, other) {
            let (has, had) = (self.nodes[leads].data(), self.nodes[other].data());
            assert_eq!(
                had & !has,
                0,
                "{} leads without what {} had:\n{}",
                self.nodes[leads].name,
                self.nodes[other].name,
                self.picture()
            );
        }
        let server = self.nodes[leads].server.as_mut().unwrap();
        server.promote(MadeBy::Handover);
        server.promoted_ms = Some(now_ms);
        if !led {
            self.begin_lead(leads);
            self.claim_not_empty(leads);
        }
        if leads == errand.to
            && let Some(errand) = self.nodes[node].handover.as_mut()
        {
            errand.promoted_ms = Some(now_ms);
        }
    }

    fn announce(&mut self, node: usize, leads: usize, epoch: u64) -> usize {
        let side = self.nodes[node].side;
        let errand = self.nodes[node].handover.as_ref();
        let declined = errand.is_some_and(|errand| errand.deaf);
        let mut named = 0;
        for sentinel in 0..self.sentinels.len() {
            let deaf = declined || (!self.calm && self.rng.one_in(8));
            let there = &mut self.sentinels[sentinel];
            if deaf || !there.runs() || there.side != side {
                continue;
            }
            let Some(watch) = there.watch.as_mut().filter(|watch| !watch.peers.is_empty()) else {
                continue;
            };
            if epoch > watch.config_epoch {
                switch(watch, leads, epoch);
                there.current_epoch = there.current_epoch.max(epoch);
                (there.silent, there.demoted) = (0, 0);
            }
            named += usize::from(
                there
                    .watch
                    .as_ref()
                    .is_some_and(|watch| watch.primary == leads),
            );
        }
        named
    }

    /// Whoever is said to lead in the end does so, unless more went wrong than a lost answer.
    fn end_handover(&mut self, node: usize, errand: &Errand, outcome: &HandoverOutcome) {
        self.say(|| format!("{}: {outcome:?}", self.nodes[node].name));
        let in_time = errand
            .promoted_ms
            .is_some_and(|at| self.now_ms - at < LEFT_ALONE_MS);
        if matches!(outcome, HandoverOutcome::Done { .. }) && in_time && !errand.troubled {
            let chosen = &self.nodes[errand.to];
            let ordered_away = chosen.runs()
                && chosen.side == self.nodes[node].side
                && !chosen.writable()
                && chosen.ordered_away;
            assert!(
                !ordered_away,
                "an order ended the lead that {} had just got:\n{}",
                chosen.name,
                self.picture()
            );
        }
        self.nodes[node].handover = None;
        self.nodes[node].held = false;
        if errand.stopping {
            let away = 1 + self.rng.below(4);
            self.nodes[node].kill(away);
        }
    }
}

fn failed() -> Seen {
    Seen::Failed(Refusal {
        reason: "Timeout".to_owned(),
        message: String::new(),
    })
}
