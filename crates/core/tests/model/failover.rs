//! A Sentinel does its own failover because an agent asked it to: at its leisure, with whomever it likes, and it may die of it.

use crate::data_node::{MadeBy, Role};
use crate::handover::Errand;
use crate::world::World;
use cachebus_core::handover::{Copy, Seen, hindmost, refusal, still_wanted};
use cachebus_core::protocol::Refusal;

impl World {
    /// Finds the Sentinel that is to do it, one that names this node.
    pub fn pick(&mut self, node: usize) -> Seen {
        let fed = self.fed_pods(node);
        let errand = self.nodes[node].handover.as_mut().unwrap();
        errand.fed = fed;
        let errand = errand.clone();
        let why = match self.compare_all(node, &errand) {
            Some(Seen::Offsets { wanted: Ok(()), .. }) => None,
            Some(
                Seen::Offsets {
                    wanted: Err(why), ..
                }
                | Seen::Failed(why),
            ) => Some(why),
            _ => Some(refused("NotConnected")),
        };
        if let Some(why) = why {
            return Seen::Failed(why);
        }
        let side = self.nodes[node].side;
        let able = self.sentinels.iter().position(|sentinel| {
            let watch = sentinel.watch.as_ref();
            sentinel.runs()
                && sentinel.side == side
                && watch.is_some_and(|watch| watch.primary == node)
        });
        self.nodes[node].handover.as_mut().unwrap().sentinel = able;
        able.map_or_else(|| Seen::Failed(refused("NoSentinel")), |_| Seen::Done)
    }

    /// Offsets of the node and of the one that has least.
    pub fn compare_all(&self, node: usize, errand: &Errand) -> Option<Seen> {
        self.reached(node, node)?;
        let copies: Vec<Copy> = (0..self.nodes.len())
            .filter(|other| *other != node && self.reached(node, *other).is_some())
            .map(|other| self.copy(node, other, &errand.fed))
            .collect();
        let (names, pod) = (&self.bus.names, &self.nodes[node].name);
        Some(
            match hindmost(names, self.config.replicas, pod, "h", &copies) {
                Ok(chosen) => Seen::Offsets {
                    own: u64::from(self.nodes[node].data().count_ones()),
                    chosen,
                    wanted: still_wanted(names, pod, &self.stances(node)),
                },
                Err(why) => Seen::Failed(why),
            },
        )
    }

    /// The Sentinel is asked, and begins where it knows a replica that is fit.
    pub fn fail_over_by_order(&mut self, node: usize, errand: &Errand) -> Option<Seen> {
        let sentinel = self.heard(node, errand)?;
        let epoch = self.sentinels[sentinel].current_epoch + 1;
        if self.fit(sentinel).is_empty() {
            return Some(Seen::Refused(refused(refusal::FAILOVER_REFUSED)));
        }
        let there = &mut self.sentinels[sentinel];
        there.current_epoch = epoch;
        there.ordered = Some(epoch);
        Some(Seen::Done)
    }

    /// A Sentinel goes on with the failover that it was asked for.
    pub fn go_on(&mut self, sentinel: usize, made_by: MadeBy) {
        if let Some((chosen, epoch)) = self.sentinels[sentinel].promoting.take() {
            self.name(sentinel, chosen, epoch);
        }
        let Some(epoch) = self.sentinels[sentinel].ordered.take() else {
            return;
        };
        let fit = self.fit(sentinel);
        if fit.is_empty() {
            return;
        }
        let chosen = fit[self.rng.below(fit.len())];
        let before = self.sentinels[sentinel].watch.as_ref().unwrap().primary;
        if made_by == MadeBy::Handover {
            let (has, had) = (self.nodes[chosen].data(), self.nodes[before].data());
            assert_eq!(
                had & !has,
                0,
                "{} is promoted without what {} had:\n{}",
                self.nodes[chosen].name,
                self.nodes[before].name,
                self.picture()
            );
        }
        self.say(|| format!("asked, Sentinels promote {}", self.nodes[chosen].name));
        let now_ms = self.now_ms;
        let server = self.nodes[chosen].server.as_mut().unwrap();
        server.promote(made_by);
        server.promoted_ms = Some(now_ms);
        self.begin_lead(chosen);
        if !self.calm && self.rng.one_in(15) {
            let away = 1 + self.rng.below(5);
            self.sentinels[sentinel].kill(away);
        } else {
            self.sentinels[sentinel].promoting = Some((chosen, epoch));
        }
    }

    /// Who leads by now, and how many Sentinels say so.
    pub fn watch_failover(&mut self, node: usize, errand: &Errand) -> Seen {
        if let Some(sentinel) = errand.sentinel
            && self.sentinels[sentinel].runs()
            && self.rng.one_in(2)
        {
            self.go_on(sentinel, MadeBy::Handover);
        }
        let side = self.nodes[node].side;
        let others: Vec<usize> = (0..self.nodes.len())
            .filter(|other| *other != node)
            .collect();
        let silent = others.iter().any(|other| !self.reaches(node, *other));
        let leads = others
            .into_iter()
            .find(|other| self.reaches(node, *other) && self.nodes[*other].writable());
        let Some(leads) = leads else {
            return Seen::Watched {
                leads: None,
                silent,
                named: 0,
            };
        };
        for sentinel in 0..self.sentinels.len() {
            if self.sentinels[sentinel].runs() && self.rng.one_in(2) {
                self.gossip(sentinel);
            }
        }
        self.rechoose(node, leads);
        let named = self.sentinels.iter().filter(|sentinel| {
            let watch = sentinel.watch.as_ref();
            sentinel.runs()
                && sentinel.side == side
                && watch.is_some_and(|watch| watch.primary == leads)
        });
        Seen::Watched {
            leads: Some(self.nodes[leads].name.clone()),
            silent,
            named: named.count(),
        }
    }

    fn rechoose(&mut self, node: usize, leads: usize) {
        let now_ms = self.now_ms;
        let errand = self.nodes[node].handover.as_mut().unwrap();
        if errand.to != leads {
            errand.others.retain(|other| *other != leads);
            errand.others.push(errand.to);
            errand.to = leads;
        }
        errand.promoted_ms.get_or_insert(now_ms);
    }

    /// The Sentinel forgets its failover, and what it has found.
    pub fn abort(&mut self, node: usize, errand: &Errand) -> Option<Seen> {
        let sentinel = self.heard(node, errand)?;
        let there = &mut self.sentinels[sentinel];
        (there.ordered, there.promoting) = (None, None);
        if let Some(watch) = there.watch.as_mut() {
            watch.replicas.clear();
            watch.peers.clear();
        }
        Some(Seen::Done)
    }

    /// The picked Sentinel, where it answers.
    fn heard(&self, node: usize, errand: &Errand) -> Option<usize> {
        let sentinel = errand.sentinel?;
        let there = &self.sentinels[sentinel];
        let answers = there.runs() && there.side == self.nodes[node].side && there.watch.is_some();
        answers.then_some(sentinel)
    }

    /// Whom a Sentinel may promote.
    fn fit(&self, sentinel: usize) -> Vec<usize> {
        let there = &self.sentinels[sentinel];
        let Some(watch) = &there.watch else {
            return Vec::new();
        };
        let replicas = watch.replicas.iter().copied();
        replicas
            .filter(|replica| {
                let node = &self.nodes[*replica];
                let server = node.server.as_ref();
                *replica != watch.primary
                    && node.runs()
                    && node.side == there.side
                    && server.is_some_and(|server| {
                        server.answers()
                            && server.priority > 0
                            && matches!(server.role, Role::Replica(Some(_)))
                    })
            })
            .collect()
    }
}

fn refused(reason: &str) -> Refusal {
    Refusal {
        reason: reason.to_owned(),
        message: String::new(),
    }
}
