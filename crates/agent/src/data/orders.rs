//! What the operator may order.

use super::DataAgent;
use super::running::Running;
use crate::error::AgentError;
use crate::order::{Order, Outcome, Request, failed, misdirected};
use crate::redis_conf::Upstream;
use cachebus_admin::{Error, Server};
use cachebus_core::fence::DIRECTIVE;
use cachebus_core::names::Component;
use cachebus_core::protocol::{ConfigOrder, Phase, Refusal, RefusedSetting, TopologyOrder};
use cachebus_core::seal::{Verdict, judge_order, obeyed};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

impl DataAgent {
    /// Carries out an order and replies with the state after it.
    pub(super) async fn answer(&mut self, request: Request, orders: &mut mpsc::Receiver<Request>) {
        let outcome = match request.order {
            Order::Handover(order) => self.answer_handover(order, orders).await,
            order => self.obey(order).await,
        };
        // Whoever asked may have gone meanwhile; the order was carried out all the same.
        let _ = request.reply.send(outcome);
    }

    async fn obey(&mut self, order: Order) -> Outcome {
        match order {
            Order::Topology(order) => self.obey_topology(&order).await?,
            Order::Config(order) => self.obey_config(&order).await?,
            Order::Flush(order) => self.obey_flush(order)?,
            Order::Acl(order) => self
                .users
                .want(order.text)
                .map_err(|error| Refusal::new(error.reason(), error.to_string()))?,
            Order::Handover(_) | Order::Monitor(_) | Order::Retire(_) => {
                return Err(misdirected(Component::Redis));
            }
        }
        if self.supervisor.is_running() {
            self.look_and_note().await;
        }
        Ok(self.status())
    }

    async fn obey_topology(&mut self, order: &TopologyOrder) -> Result<(), Refusal> {
        let phase = self.phase();
        match phase {
            Phase::Down | Phase::Unknown => {
                return Err(Refusal::new("NotRunning", "the server does not run yet"));
            }
            Phase::Loading => {
                return Err(Refusal::new("Loading", "the server still reads its files"));
            }
            Phase::Holding | Phase::Sealed | Phase::Leading | Phase::Following(_) => {}
        }
        let votes = self.ask_sentinels().await.map_err(|error| failed(&error))?;
        let promoted = self.running.as_ref().and_then(Running::promoted);
        let verdict = judge_order(order, &self.question(&votes), promoted)?;
        // The marker is to say what was done: nothing can be, while a running server cannot be told.
        if phase != Phase::Holding {
            self.server().map_err(|error| failed(&error))?;
        }
        let rewriting = self.running.as_ref().is_some_and(Running::is_rewriting);
        let aof = self.keeps_aof().map_err(|error| failed(&error))?;
        let marker = obeyed(order, &self.question(&votes), rewriting, aof);
        let done = async {
            self.volume.mark(marker).await?;
            match (verdict, phase) {
                (Verdict::Lead, Phase::Holding) => {
                    let priority = self.site.config.replica_priority;
                    self.start(Upstream::Nobody, priority).await
                }
                (Verdict::Lead, _) => self.lead().await,
                (Verdict::Follow { pod, priority }, Phase::Holding) => {
                    let primary = self.site.data_address(&pod);
                    self.start(Upstream::Primary(primary), priority).await
                }
                (Verdict::Follow { pod, priority }, _) => self.follow(&pod, priority).await,
            }
        };
        done.await.map_err(|error: AgentError| self.refused(&error))
    }

    async fn obey_config(&mut self, order: &ConfigOrder) -> Result<(), Refusal> {
        let server = self.server().map_err(|error| failed(&error))?;
        let pairs: Vec<(&str, &str)> = order
            .settings
            .iter()
            // One that was sent before the operator knew must not undo the fence, or the bond to all replicas.
            .filter(|(directive, _)| self.takes_writes_as_asked() || *directive != DIRECTIVE)
            .map(|(directive, value)| (directive.as_str(), value.as_str()))
            .collect();
        if pairs.is_empty() {
            return Ok(());
        }
        let set = set_what_can_be(server, &pairs).await;
        let refused = set.map_err(|error| self.refused(&error.into()))?;
        let why: Vec<String> = refused
            .iter()
            .map(|(directive, refused)| format!("{directive}: {}", refused.why))
            .collect();
        tracing::info!(directives = ?order.settings.keys(), refused = ?why, "settings changed by order");
        if let Some(running) = &mut self.running {
            running.compare_at = tokio::time::Instant::now();
            running.was_told(&pairs, refused);
        }
        Ok(())
    }

    fn refused(&mut self, error: &AgentError) -> Refusal {
        self.note(error);
        failed(error)
    }
}

/// Sets all at once, or else one by one: one that is refused keeps none of the others back. Returns those that were refused.
async fn set_what_can_be(
    server: &Server,
    pairs: &[(&str, &str)],
) -> Result<BTreeMap<String, RefusedSetting>, Error> {
    match server.config_set(pairs).await {
        Err(Error::Refused { .. }) => {}
        done => return done.map(|()| BTreeMap::new()),
    }
    let mut refused = BTreeMap::new();
    for &(directive, value) in pairs {
        match server.config_set(&[(directive, value)]).await {
            Err(Error::Refused { code, message, .. }) => {
                let setting = RefusedSetting {
                    value: value.to_owned(),
                    why: format!("{code} {message}"),
                    due: false,
                };
                refused.insert(directive.to_owned(), setting);
            }
            done => done?,
        }
    }
    Ok(refused)
}
