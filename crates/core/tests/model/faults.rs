//! What goes wrong.

use crate::data_node::{Deletion, Volume};
use crate::operator::Operator;
use crate::world::World;
use cachebus_api::CacheBusStatus;

impl World {
    /// Perhaps something goes wrong.
    pub fn fault(&mut self) {
        let at_target = self.target().filter(|_| self.rng.one_in(8));
        if at_target.is_none() && !self.rng.one_in(5) {
            return;
        }
        let node = self.rng.below(self.nodes.len());
        let sentinel = self.rng.below(self.sentinels.len());
        let soon = 1 + self.rng.below(6);
        let late = 1 + self.rng.below(45);
        let what = at_target.map_or_else(|| self.rng.below(19), |_| 17);
        match what {
            0 | 1 => self.nodes[node].kill(soon),
            2 => self.nodes[node].kill(late),
            3 => {
                self.nodes[node].kill(soon);
                self.nodes[node].volume = Volume::default();
            }
            4 | 5 => self.kill_all(false),
            6 => self.kill_all(true),
            7 => self.sentinels[sentinel].kill(soon),
            8 => {
                self.sentinels[sentinel].kill(soon);
                self.sentinels[sentinel].watch = None;
                self.sentinels[sentinel].current_epoch = 0;
            }
            9 | 10 => self.crash(node, soon),
            11 => self.nodes[node].hidden ^= true,
            12 => self.sentinels[sentinel].hidden ^= true,
            13 => self.nodes[node].side ^= 1,
            14 => self.sentinels[sentinel].side ^= 1,
            15 => self.crash_operators(),
            16 => self.nodes[node].deletion = Some(Deletion::Graceful),
            17 => self.cut_off_and_delete(at_target.unwrap_or(node)),
            _ => self.forget(),
        }
        self.say(|| {
            format!(
                "fault {what}: node {node}, Sentinel {sentinel}\n{}",
                self.picture()
            )
        });
    }

    /// A server ends by itself. Where it led, its agent knows at once.
    fn crash(&mut self, node: usize, backoff: usize) {
        let led = self.nodes[node].writable() && self.nodes[node].handover.is_none();
        let fed = self.fed_pods(node);
        self.nodes[node].crash(backoff);
        if led {
            self.hand_over_after_crash(node, fed);
        }
    }

    /// The node that is being made the primary.
    fn target(&self) -> Option<usize> {
        let topology = self.store.last().unwrap().topology.as_ref()?;
        Some(self.node_of(&topology.target.as_ref()?.pod))
    }

    /// A node is cut off, and the pod on it is deleted, perhaps by force. Its server runs on there.
    fn cut_off_and_delete(&mut self, node: usize) {
        let by_force = self.rng.one_in(2);
        let node = &mut self.nodes[node];
        if !node.runs() {
            return;
        }
        node.hidden = true;
        node.side = 1;
        node.deletion = Some(if by_force {
            Deletion::Forced
        } else {
            Deletion::Graceful
        });
    }

    /// Pods that are being deleted end once their nodes hear of it.
    pub fn delete(&mut self) {
        for node in 0..self.nodes.len() {
            let hears = !self.nodes[node].hidden && self.nodes[node].side == 0;
            if self.nodes[node].deletion.is_some() && hears && self.rng.one_in(3) {
                let away = 1 + self.rng.below(4);
                self.nodes[node].kill(away);
            }
        }
    }

    /// Somebody wipes the status, as a restored backup does. Nobody but the pods knows then what was, so all of them are there.
    fn forget(&mut self) {
        if !self
            .nodes
            .iter()
            .all(|node| node.is_reached() && node.deletion.is_none())
        {
            return;
        }
        self.store.push(CacheBusStatus::default());
        self.lead_orders.clear();
        self.flying.clear();
        self.crash_operators();
    }

    /// Every data pod at once, and perhaps every Sentinel, with any subset of the volumes.
    fn kill_all(&mut self, sentinels_too: bool) {
        for node in 0..self.nodes.len() {
            let late = if self.rng.one_in(5) {
                40
            } else {
                1 + self.rng.below(6)
            };
            self.nodes[node].kill(late);
            if self.rng.one_in(5) {
                self.nodes[node].volume = Volume::default();
            }
        }
        if !sentinels_too {
            return;
        }
        let forget_all = self.rng.one_in(2);
        for sentinel in 0..self.sentinels.len() {
            let away = 1 + self.rng.below(6);
            self.sentinels[sentinel].kill(away);
            if forget_all || self.rng.one_in(4) {
                self.sentinels[sentinel].watch = None;
                self.sentinels[sentinel].current_epoch = 0;
            }
        }
    }

    /// Everything that is away comes back, and everybody reaches everybody.
    pub fn mend(&mut self) {
        self.calm = true;
        for node in &mut self.nodes {
            node.side = 0;
            node.hidden = false;
            node.away = node.away.min(3);
        }
        for sentinel in &mut self.sentinels {
            sentinel.side = 0;
            sentinel.hidden = false;
            sentinel.away = sentinel.away.min(3);
        }
        self.crash_operators();
        self.say(|| format!("no more faults\n{}", self.picture()));
    }

    fn crash_operators(&mut self) {
        for operator in &mut self.operators {
            *operator = Operator::default();
        }
    }
}
