//! Agents have servers that lead refuse writes while another may lead, by the real rules.

use crate::world::World;
use cachebus_core::fence::{Answer, Hearing, Sight, Watch};
use cachebus_core::seal::Vote;

impl World {
    /// One look of each agent at whether its server may take writes.
    pub fn guard(&mut self) {
        for node in 0..self.nodes.len() {
            let hearing = Hearing {
                asked_ms: self.now_ms,
                answers: self.answers(self.nodes[node].side),
            };
            let replicas = self.fed_by(node);
            let leads = self.nodes[node].writable();
            let there = &mut self.nodes[node];
            let Some(server) = there.server.as_mut() else {
                continue;
            };
            let Some(watch) = server.watch.as_mut().filter(|_| leads) else {
                server.watch = leads.then(|| Watch::begin(self.now_ms));
                server.leads_since = self.now_ms;
                continue;
            };
            let verdict = watch.judge(&Sight {
                config: &self.config,
                pod: &there.name,
                now_ms: self.now_ms,
                replicas: &replicas,
                hearing: Some(&hearing),
            });
            watch.carried_out(verdict);
        }
    }

    /// What the Sentinels say to the agent of a primary on this side.
    fn answers(&self, side: u8) -> Vec<Answer> {
        let answers = self.sentinels.iter().map(|sentinel| {
            if !sentinel.runs() || sentinel.side != side {
                return Answer::Silent;
            }
            sentinel
                .watch
                .as_ref()
                .map_or(Answer::Unaware, |watch| Answer::Names {
                    vote: Vote {
                        primary_host: self.hosts[watch.primary].clone(),
                        config_epoch: watch.config_epoch,
                    },
                    promoting: sentinel.is_failing_over(),
                })
        });
        answers.collect()
    }
}
