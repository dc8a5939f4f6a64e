//! Sentinels, as far as they decide who leads.

use crate::data_node::{DataNode, MadeBy, Role};
use crate::world::World;
use std::collections::BTreeSet;

/// Seconds of silence after which a Sentinel holds the primary for down.
pub const DOWN_AFTER: usize = 5;

/// What a Sentinel keeps on its volume.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub primary: usize,
    pub config_epoch: u64,
    pub replicas: BTreeSet<usize>,
    pub peers: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
pub struct Sentinel {
    pub name: String,
    /// Ticks until the pod exists and runs; 0: it does.
    pub away: usize,
    pub side: u8,
    pub hidden: bool,
    pub watch: Option<Watch>,
    pub current_epoch: u64,
    /// Seconds for which the primary was silent, or said that it is a replica.
    pub silent: usize,
    pub demoted: usize,
    /// Ticks until another failover may be tried.
    pub cooldown: usize,
    /// Whom it has made primary, and in which epoch, without having seen that yet.
    pub promoting: Option<(usize, u64)>,
    /// It was asked to fail over, in this epoch, and has not promoted anybody yet.
    pub ordered: Option<u64>,
}

impl Sentinel {
    pub fn runs(&self) -> bool {
        self.away == 0
    }

    pub fn is_failing_over(&self) -> bool {
        self.promoting.is_some() || self.ordered.is_some()
    }

    pub fn down(&self) -> bool {
        self.silent >= DOWN_AFTER || self.demoted >= DOWN_AFTER + 10
    }

    /// What it makes of an order to monitor this primary.
    pub fn obey(&mut self, primary: usize, instead_of: Option<usize>, epoch: u64, peers: &[usize]) {
        let watch = self.watch.get_or_insert_with(|| Watch {
            primary,
            ..Watch::default()
        });
        if watch.primary != primary && Some(watch.primary) != instead_of {
            return;
        }
        watch.peers.extend(peers);
        if watch.primary != primary && !watch.peers.is_empty() {
            let epoch = epoch.max(watch.config_epoch + 1);
            self.current_epoch = self.current_epoch.max(epoch);
            switch(watch, primary, epoch);
            self.silent = 0;
            self.demoted = 0;
        }
    }

    pub fn kill(&mut self, away: usize) {
        self.away = away.max(1);
        self.silent = 0;
        self.demoted = 0;
        self.cooldown = 0;
        self.promoting = None;
        self.ordered = None;
    }
}

impl World {
    /// One second of a Sentinel.
    pub fn watch(&mut self, me: usize) {
        if !self.sentinels[me].runs() {
            self.sentinels[me].away -= 1;
            return;
        }
        self.gossip(me);
        self.go_on(me, MadeBy::Sentinels);
        let Some(watch) = self.sentinels[me].watch.clone() else {
            return;
        };
        let side = self.sentinels[me].side;
        let near = |node: &DataNode| node.runs() && node.side == side && node.server.is_some();
        let primary = &self.nodes[watch.primary];
        let leads = near(primary) && primary.writable();
        let is_replica = near(primary)
            && primary
                .server
                .as_ref()
                .is_some_and(|server| server.answers() && server.role != Role::Master);
        let found: Vec<usize> = (0..self.nodes.len())
            .filter(|node| {
                leads
                    && self.nodes[*node].server.as_ref().is_some_and(|server| {
                        server.link_up && server.role == Role::Replica(Some(watch.primary))
                    })
            })
            .collect();
        let answers = near(primary);
        let sentinel = &mut self.sentinels[me];
        sentinel.silent = if answers { 0 } else { sentinel.silent + 1 };
        sentinel.demoted = if is_replica { sentinel.demoted + 1 } else { 0 };
        sentinel.cooldown = sentinel.cooldown.saturating_sub(1);
        sentinel.watch.as_mut().unwrap().replicas.extend(found);
        if leads && !self.sentinels[me].down() {
            self.straighten(&watch, side);
        } else if self.sentinels[me].down() && self.sentinels[me].cooldown == 0 {
            self.fail_over(me, &watch);
        }
    }

    /// Sentinels learn of one another, and the newer configuration wins.
    pub fn gossip(&mut self, me: usize) {
        for other in 0..self.sentinels.len() {
            let there = &self.sentinels[other];
            if other == me || !there.runs() || there.side != self.sentinels[me].side {
                continue;
            }
            let Some(theirs) = there.watch.clone() else {
                continue;
            };
            let epoch = there.current_epoch;
            let sentinel = &mut self.sentinels[me];
            sentinel.current_epoch = sentinel.current_epoch.max(epoch);
            let Some(watch) = sentinel.watch.as_mut() else {
                continue;
            };
            watch.peers.insert(other);
            if theirs.config_epoch > watch.config_epoch {
                switch(watch, theirs.primary, theirs.config_epoch);
                sentinel.silent = 0;
                sentinel.demoted = 0;
            }
        }
    }

    /// Known replicas that follow another, or lead, are told to follow the primary.
    fn straighten(&mut self, watch: &Watch, side: u8) {
        for replica in watch.replicas.clone() {
            let patient = !self.rng.one_in(4);
            let node = &mut self.nodes[replica];
            if patient || replica == watch.primary || !node.runs() || node.side != side {
                continue;
            }
            if let Some(server) = node.server.as_mut().filter(|server| server.answers()) {
                server.replicate_from(Some(watch.primary));
            }
        }
    }

    fn fail_over(&mut self, me: usize, watch: &Watch) {
        let side = self.sentinels[me].side;
        let peers: Vec<usize> = (0..self.sentinels.len())
            .filter(|other| {
                let sentinel = &self.sentinels[*other];
                sentinel.runs()
                    && sentinel.side == side
                    && (*other == me || watch.peers.contains(other))
                    && sentinel.watch.is_some()
            })
            .collect();
        let agree = peers.iter().filter(|other| {
            let sentinel = &self.sentinels[**other];
            sentinel.down()
                && sentinel
                    .watch
                    .as_ref()
                    .is_some_and(|theirs| theirs.primary == watch.primary)
        });
        let quorum = self.config.quorum as usize;
        let voters = watch.peers.len() + 1;
        let majority = voters / 2 + 1;
        if agree.count() < quorum || peers.len() < majority.max(quorum) {
            return;
        }
        let epoch = 1 + peers
            .iter()
            .map(|peer| self.sentinels[*peer].current_epoch)
            .max()
            .unwrap();
        for peer in peers {
            self.sentinels[peer].current_epoch = epoch;
            self.sentinels[peer].cooldown = 6;
        }
        let chosen = watch
            .replicas
            .iter()
            .copied()
            .filter(|replica| *replica != watch.primary)
            .filter(|replica| {
                let node = &self.nodes[*replica];
                let server = node.server.as_ref();
                node.runs()
                    && node.side == side
                    && server.is_some_and(|server| server.answers() && server.priority > 0)
            })
            .max_by_key(|replica| self.nodes[*replica].data().count_ones());
        let Some(chosen) = chosen else {
            return;
        };
        self.nodes[chosen]
            .server
            .as_mut()
            .unwrap()
            .promote(MadeBy::Sentinels);
        let now_ms = self.now_ms;
        self.nodes[chosen].server.as_mut().unwrap().promoted_ms = Some(now_ms);
        // One that was in sync may lack what an isolated primary goes on taking.
        if !self.nodes[chosen].server.as_ref().unwrap().linked {
            self.claim_not_empty(chosen);
        }
        self.begin_lead(chosen);
        self.say(|| format!("Sentinels promote {}", self.nodes[chosen].name));
        if self.rng.one_in(15) {
            // Dies before anybody hears of it.
            let away = 1 + self.rng.below(5);
            self.sentinels[me].kill(away);
            return;
        }
        if self.rng.one_in(2) {
            self.sentinels[me].promoting = Some((chosen, epoch));
        } else {
            self.name(me, chosen, epoch);
        }
    }

    /// A failover is done as far as its Sentinel is concerned, unless another has overtaken it or the chosen one is gone.
    pub fn name(&mut self, me: usize, chosen: usize, epoch: u64) {
        let leads =
            self.nodes[chosen].writable() && self.nodes[chosen].side == self.sentinels[me].side;
        let sentinel = &mut self.sentinels[me];
        let Some(mine) = sentinel
            .watch
            .as_mut()
            .filter(|mine| mine.config_epoch < epoch)
        else {
            return;
        };
        if leads {
            switch(mine, chosen, epoch);
            sentinel.silent = 0;
            sentinel.demoted = 0;
        }
    }
}

pub fn switch(watch: &mut Watch, primary: usize, epoch: u64) {
    if watch.primary != primary {
        watch.replicas.insert(watch.primary);
        watch.replicas.remove(&primary);
        watch.primary = primary;
    }
    watch.config_epoch = epoch;
}
