//! What must hold in every history.

use crate::data_node::{Deletion, MadeBy};
use crate::world::World;
use cachebus_api::status::Topology;
use cachebus_core::observed::Observed;
use cachebus_core::plan::{Action, Plan, reason};
use cachebus_core::protocol::{DataStatus, Phase, TopologyOrder};
use cachebus_core::seal::{Opinion, opinion};

impl World {
    /// Never two writable primaries that our orders made. One that was the primary on record when the operators lost sight of it,
    /// and one whose pod was deleted by force, counts again once it was demoted: nobody can reach it before.
    pub fn claim_one_primary(&mut self) {
        let recorded = self.store.last().unwrap().topology.clone();
        let recorded = recorded.and_then(|topology| topology.primary);
        let mut made = Vec::new();
        for node in &mut self.nodes {
            if !node.writable() {
                node.isolated_leader = false;
                continue;
            }
            let cut_off = node.hidden || node.side != 0;
            let was_primary = recorded.as_ref() == Some(&node.name);
            if (cut_off && was_primary) || node.deletion == Some(Deletion::Forced) {
                node.isolated_leader = true;
            }
            let by_us = node
                .server
                .as_ref()
                .is_some_and(|server| server.made_by != MadeBy::Sentinels);
            if by_us && node.takes_writes() && !node.isolated_leader {
                made.push(node.name.clone());
            }
        }
        assert!(
            made.len() <= 1,
            "{made:?} lead by orders or handovers:\n{}",
            self.picture()
        );
    }

    /// For the length of the window a primary may take writes of which nobody knows, and no longer: not where no majority of
    /// Sentinels hears it and a replica is missing, which they may have promoted, and not where it reaches a majority that names
    /// another.
    pub fn claim_cut_off_is_fenced(&mut self) {
        let now_ms = self.now_ms;
        let window = self.config.fencing_window_ms;
        let elect = self.elect();
        let named = elect.map(|elect| match self.named {
            Some((before, since)) if before == elect => (elect, since),
            _ => (elect, now_ms),
        });
        self.named = named;
        for node in 0..self.nodes.len() {
            let unheard = !self.hears_majority(node);
            let lacks_one = self.fed_by(node).len() < self.config.replicas as usize;
            let there = &mut self.nodes[node];
            let (leads, takes_writes) = (there.writable(), there.takes_writes());
            let Some(server) = there.server.as_mut() else {
                continue;
            };
            server.unheard_since = server.unheard_since.filter(|_| unheard && leads);
            if unheard && leads {
                server.unheard_since.get_or_insert(now_ms);
            }
            let cut_off = server
                .unheard_since
                .is_some_and(|since| now_ms - since >= window);
            let outvoted = named.is_some_and(|(elect, since)| {
                elect != node && now_ms - since.max(server.leads_since) >= window
            });
            let outvoted = outvoted && !unheard;
            let replaceable = cut_off && lacks_one;
            assert!(
                self.config.replicas == 0 || !takes_writes || !(replaceable || outvoted),
                "{} takes writes, replaceable: {replaceable}, outvoted: {outvoted}:\n{}",
                self.nodes[node].name,
                self.picture()
            );
        }
    }

    fn hears_majority(&self, node: usize) -> bool {
        let side = self.nodes[node].side;
        let there = self.sentinels.iter();
        let there = there.filter(|sentinel| sentinel.runs() && sentinel.side == side);
        there.count() > self.sentinels.len() / 2
    }

    /// The node that a majority of Sentinels on one side names, all in one epoch and none on that side in a newer one.
    fn elect(&self) -> Option<usize> {
        (0..2).find_map(|side| match opinion(&self.bus.names, &self.votes(side)) {
            Opinion::Majority { pod, .. } => Some(self.node_of(&pod)),
            Opinion::Moving { .. } | Opinion::None => None,
        })
    }

    /// An empty copy never begins to lead while there is one with data, unless that one stayed away for longer than copies are
    /// waited for and nobody knows that it exists. A snapshot may be of a time when there was nothing, and is no empty copy.
    pub fn claim_not_empty(&self, node: usize) {
        let snapshot = !self.nodes[node].keeps_aof() && self.nodes[node].volume.files.is_some();
        if self.nodes[node].data() != 0
            || snapshot
            || self.nodes[node]
                .volume
                .marker
                .as_ref()
                .is_some_and(|marker| marker.complete && marker.epoch > 0)
        {
            return;
        }
        for other in &self.nodes {
            assert!(
                other.index == node || !other.has_data(),
                "{} leads empty while {} has data:\n{}",
                self.nodes[node].name,
                other.name,
                self.picture()
            );
        }
    }

    /// No other copy that was there when the choice was made, and not silent for long, holds all that the chosen one holds, and
    /// more, and is of a newer lead, or is what led. A copy that is not known to be whole, or that a predecessor of the bus left
    /// behind, counts for nothing; of two replicas of one lead either will do. What an agent had no second to note nobody can
    /// know, nor that one whom Sentinels had lead, and whom nobody told of the epoch before, counted on from an older one.
    pub fn claim_nothing_lost(&self, node: usize) {
        let chosen = self.nodes[node].data();
        // An older copy that it took up without a second to note that, it still passes for newer.
        let lead = self.nodes[node].lead().max(self.nodes[node].volume.noted);
        let newest = self.choice.iter().find(|(other, ..)| *other == node);
        let newest = newest.map_or(0, |(_, _, epoch)| *epoch);
        for (other, held, _) in self.choice.iter().filter(|(other, ..)| *other != node) {
            let other = &self.nodes[*other];
            let Some(marker) = other.volume.marker.as_ref() else {
                continue;
            };
            let was_primary = marker.primary == other.name;
            let noted = other.volume.noted;
            let newer = noted > lead || (noted == lead && was_primary);
            let untold = other.unordered && marker.epoch.max(marker.fence) < newest;
            if !newer || untold || !marker.complete || marker.uid != self.bus.uid {
                continue;
            }
            let held = held & other.data();
            assert!(
                held == chosen || held & chosen != chosen,
                "{} leads with {chosen:b}, {} held {held:b}:\n{}",
                self.nodes[node].name,
                other.name,
                self.picture()
            );
        }
    }

    /// What must hold of every plan, whatever it was made from.
    pub fn claim_plan(plan: &Plan, observed: &Observed) {
        let changes = plan
            .actions
            .iter()
            .filter(|action| action.changes_topology(observed))
            .count();
        assert!(changes <= 1, "two changes at once: {plan:?}");
        let idle = plan.actions.is_empty() && plan.unsettled;
        assert!(
            !idle || !plan.blocked.is_empty(),
            "waits and does not say for what: {plan:?}"
        );
        for blocked in &plan.blocked {
            assert!(reason::ALL.contains(&blocked.reason), "{plan:?}");
        }
        let reports = || {
            observed
                .data
                .iter()
                .filter_map(|(pod, node)| Some((pod, node.data()?)))
        };
        let leads =
            |pod: &str| reports().any(|(other, data)| other == pod && data.phase == Phase::Leading);
        let somebody_else_leads =
            |pod: &str| reports().any(|(other, data)| other != pod && data.phase == Phase::Leading);
        let recorded = observed.status.topology.as_ref();
        let recorded = recorded.and_then(|topology| topology.target.as_ref());
        let has_keys = |data: &DataStatus| data.keys.is_some_and(|keys| keys > 0);
        for action in &plan.actions {
            match action {
                Action::Order { pod, order } if *pod == order.primary && !leads(pod) => {
                    assert!(
                        !somebody_else_leads(pod),
                        "a second one is to lead: {plan:?}"
                    );
                }
                Action::Record(Topology {
                    target: Some(target),
                    ..
                }) if target.empty && Some(target) != recorded => {
                    let full = reports().find(|(_, data)| has_keys(data));
                    assert!(full.is_none(), "{full:?} has data: {plan:?}");
                }
                Action::Monitor { order, .. } => {
                    assert!(
                        leads(&order.primary),
                        "Sentinels hear of who does not lead: {plan:?}"
                    );
                }
                _ => {}
            }
        }
    }

    /// No two pods are ever told to lead in one epoch.
    pub fn claim_one_lead_in_an_epoch(&mut self, pod: &str, order: &TopologyOrder) {
        if pod != order.primary {
            return;
        }
        let other = self
            .lead_orders
            .iter()
            .find(|(epoch, told)| *epoch == order.epoch && told != pod);
        assert!(
            other.is_none(),
            "{pod} and {other:?} are to lead in one epoch"
        );
        self.lead_orders.push((order.epoch, pod.to_owned()));
    }

    /// A healed bus has one primary, and every copy equals it.
    pub fn claim_whole(&self) {
        let leaders: Vec<&str> = self
            .nodes
            .iter()
            .filter(|node| node.writable())
            .map(|node| node.name.as_str())
            .collect();
        assert_eq!(leaders.len(), 1, "{leaders:?} lead:\n{}", self.picture());
    }
}
