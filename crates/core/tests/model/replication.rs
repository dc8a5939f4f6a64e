//! How data gets from clients to the primary, and from there to the replicas.

use crate::data_node::{DataNode, MadeBy, Role, Writes};
use crate::world::World;

impl World {
    /// A lead begins: what its node writes from now on is newer than what anybody wrote before.
    pub fn begin_lead(&mut self, node: usize) {
        self.leads += 1;
        let node = &mut self.nodes[node];
        let aof = node.keeps_aof();
        node.ordered_away = false;
        let server = node.server.as_mut().unwrap();
        node.unordered = server.made_by == MadeBy::Sentinels;
        server.lead = self.leads;
        if aof && server.rewriting == 0 {
            node.volume.lead = server.lead;
        }
    }

    /// One second of replication.
    pub fn replicate(&mut self, replica: usize) {
        let Some(server) = self.nodes[replica].server.clone() else {
            return;
        };
        let source = match server.role {
            Role::Replica(Some(primary)) if server.answers() => self.nodes.get(primary),
            _ => None,
        };
        let source = source.filter(|source| {
            source.index != replica
                && source.runs()
                && source.side == self.nodes[replica].side
                && source.server.as_ref().is_some_and(|source| {
                    source.answers() && (source.role == Role::Master || source.link_up)
                })
        });
        let lead = source.map_or(0, DataNode::lead);
        let sent = source.map(|source| source.server.as_ref().unwrap().memory);
        let rewriting = self.rng.below(3);
        let sync = 1 + self.rng.below(2);
        let lags = self.rng.one_in(6);
        let saves = self.rng.one_in(10);
        let node = &mut self.nodes[replica];
        let aof = node.keeps_aof();
        let server = node.server.as_mut().unwrap();
        let mut synchronised = false;
        match sent {
            None => {
                server.link_up = false;
                server.syncing = 0;
            }
            // What the replica has beyond the primary's, only a full synchronisation takes away.
            Some(sent) if !server.link_up && server.memory & !sent == 0 && server.memory != 0 => {
                server.link_up = true;
                server.memory = sent;
                server.lead = lead;
            }
            Some(_) if !server.link_up && server.syncing == 0 => {
                server.syncing = sync;
                server.linked = false;
            }
            Some(sent) if !server.link_up => {
                server.syncing -= 1;
                if server.syncing == 0 {
                    server.link_up = true;
                    server.memory = sent;
                    server.lead = lead;
                    synchronised = true;
                    if aof {
                        server.rewriting = 1 + rewriting;
                    }
                }
            }
            Some(sent) => {
                if !lags {
                    server.memory = sent;
                    server.lead = lead;
                }
            }
        }
        if server.rewriting > 0 {
            server.rewriting -= 1;
        }
        // What a replica is sent is a snapshot, and it keeps it.
        let written = if aof {
            server.rewriting == 0
        } else {
            let whole = server.role == Role::Master || server.linked || server.link_up;
            synchronised || (saves && whole)
        };
        if written && server.answers() {
            node.volume.files = Some(server.memory);
            node.volume.lead = server.lead;
        }
    }

    /// Clients write to whoever takes it.
    pub fn write(&mut self) {
        let writable: Vec<usize> = (0..self.nodes.len())
            .filter(|node| self.nodes[*node].takes_writes() && !self.nodes[*node].held)
            .collect();
        for node in writable {
            if self.writes < 64 && self.rng.one_in(2) {
                let write: Writes = 1 << self.writes;
                self.writes += 1;
                let node = &mut self.nodes[node];
                let aof = node.keeps_aof();
                let server = node.server.as_mut().unwrap();
                server.memory |= write;
                if aof && server.rewriting == 0 {
                    node.volume.files = Some(server.memory);
                    node.volume.lead = server.lead;
                }
            }
        }
    }
}
