//! Handing the lead over to a replica: by order, when the pod is stopped, and when the server has crashed.

mod hearing;
mod linger;
mod party;
mod steps;

use super::DataAgent;
use super::running::Running;
use crate::order::{self, Outcome, Request};
use cachebus_admin::Replication;
use cachebus_core::handover::refusal::NO_MAJORITY;
use cachebus_core::handover::{Handover, Limits, Own, judge_order};
use cachebus_core::names::Names;
use cachebus_core::protocol::{
    HandoverCause, HandoverOrder, HandoverOutcome, HandoverReport, Phase, Refusal,
};
use cachebus_core::seal::refusal::HANDOVER_RUNNING;
use party::{Errand, Party};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// For how long a server that is to be stopped tries to hand its lead over: Sentinels that miss one answer cost no failover.
const TRIES: Duration = Duration::from_secs(3);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

impl DataAgent {
    /// Carries out an order to hand the lead over, and replies when that has ended.
    pub(super) async fn answer_handover(
        &mut self,
        order: HandoverOrder,
        orders: &mut mpsc::Receiver<Request>,
    ) -> Outcome {
        judge_order(
            &order,
            &self.site.config,
            &self.site.pod,
            self.volume.marker(),
            self.phase() == Phase::Leading,
        )?;
        let errand = self.errand(order.to, None);
        let party = gathered(errand, orders).await?;
        self.hand_over(HandoverCause::Ordered, party, orders).await;
        Ok(self.status())
    }

    /// Hands the lead over before the server is stopped, if it leads. Whether another leads now.
    pub(super) async fn hand_over_before_stop(
        &mut self,
        orders: &mut mpsc::Receiver<Request>,
    ) -> bool {
        let begun = Instant::now();
        while self.phase() == Phase::Leading {
            let errand = self.errand(None, None);
            let outcome = match gathered(errand, orders).await {
                Ok(party) => self.hand_over(HandoverCause::Stopped, party, orders).await,
                Err(why) => {
                    self.gave_up(HandoverCause::Stopped, why.clone());
                    HandoverOutcome::Failed(why)
                }
            };
            match outcome {
                HandoverOutcome::Done { .. } => return true,
                HandoverOutcome::Failed(why)
                    if why.reason == NO_MAJORITY && begun.elapsed() < TRIES =>
                {
                    sleep(PAUSE).await;
                    self.look_and_note().await;
                }
                HandoverOutcome::Failed(_) | HandoverOutcome::Running => break,
            }
        }
        false
    }

    /// What the server that has ended just now was as the primary, where it was that: Sentinels and copies say whether it still
    /// is.
    pub(super) fn led(&self) -> Option<Own> {
        let marker = self.volume.marker()?;
        if self.phase() != Phase::Leading || marker.primary != self.site.pod {
            return None;
        }
        let replication = &self.running.as_ref()?.info.as_ref()?.replication;
        Some(own(&self.site.names, replication))
    }

    /// Hands on the lead that the server had until it crashed. It is not started meanwhile.
    pub(super) async fn hand_over_after_crash(
        &mut self,
        led: Own,
        orders: &mut mpsc::Receiver<Request>,
    ) {
        let errand = self.errand(None, Some(led));
        match gathered(errand, orders).await {
            Ok(party) => {
                self.hand_over(HandoverCause::Crashed, party, orders).await;
            }
            Err(why) => self.gave_up(HandoverCause::Crashed, why),
        }
    }

    fn errand(&self, to: Option<String>, crashed: Option<Own>) -> Errand {
        let marker = self.volume.marker();
        let marker = marker.filter(|marker| marker.uid == self.site.config.uid);
        Errand {
            epoch: marker.map_or(0, |marker| marker.epoch.max(marker.fence)),
            site: self.site.clone(),
            tls: Arc::clone(self.serving.client()),
            to,
            crashed,
            begun: Instant::now(),
            limits: Limits::of(Duration::from_millis(
                self.site.config.monitor.down_after_ms,
            )),
        }
    }

    async fn hand_over(
        &mut self,
        cause: HandoverCause,
        party: Party,
        orders: &mut mpsc::Receiver<Request>,
    ) -> HandoverOutcome {
        let to = party.choice.to.clone();
        tracing::info!(?cause, to, "handing the lead over");
        self.report_handover(cause, Some(to.clone()), HandoverOutcome::Running);
        let crashed = cause == HandoverCause::Crashed;
        let handover = Handover::new(party.choice.clone(), crashed, party.limits());
        let (outcome, to) = undisturbed(orders, Box::pin(party.carry_out(handover))).await;
        tracing::info!(?cause, to, ?outcome, "the handover has ended");
        self.handover_ended(&outcome);
        self.report_handover(cause, Some(to), outcome.clone());
        if !crashed {
            self.look_and_note().await;
            self.publish();
        }
        outcome
    }

    /// Clients learn from the server's answers that it leads no more; a broken connection would tell them less.
    fn handover_ended(&mut self, outcome: &HandoverOutcome) {
        if let (Some(Running { farewell, .. }), HandoverOutcome::Done { .. }) =
            (&mut self.running, outcome)
        {
            farewell.handed_over();
        }
    }

    fn gave_up(&mut self, cause: HandoverCause, why: Refusal) {
        tracing::warn!(
            ?cause,
            reason = why.reason,
            why.message,
            "the lead is not handed over"
        );
        self.report_handover(cause, None, HandoverOutcome::Failed(why));
    }

    fn report_handover(
        &mut self,
        cause: HandoverCause,
        to: Option<String>,
        outcome: HandoverOutcome,
    ) {
        let before = self.handover.as_ref();
        let running = before.is_some_and(|last| last.outcome == HandoverOutcome::Running);
        let number = before.map_or(0, |last| last.number) + u64::from(!running);
        self.handover = Some(HandoverReport {
            number,
            cause,
            to,
            outcome,
        });
        self.publish();
    }
}

/// A primary by what it says of itself.
fn own(names: &Names, replication: &Replication) -> Own {
    let online = replication.replicas.iter();
    let online = online.filter(|replica| replica.state == "online");
    let fed = online
        .filter_map(|replica| Some((names.data_pod_of_host(&replica.address.host)?, replica.lag)));
    Own::new(replication.replication_id.clone(), fed)
}

/// Everybody who takes part. On the heap: what is large would lie within the agent's one loop.
async fn gathered(errand: Errand, orders: &mut mpsc::Receiver<Request>) -> Result<Party, Refusal> {
    undisturbed(orders, Box::pin(Party::gather(errand))).await
}

/// Does the work to its end, and refuses what is ordered meanwhile.
async fn undisturbed<T>(orders: &mut mpsc::Receiver<Request>, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(request) = order::next(orders) => {
                let busy = Refusal::new(HANDOVER_RUNNING, "this pod is handing its lead over");
                // Whoever asked may have gone meanwhile.
                let _ = request.reply.send(Err(busy));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::order::Order;
    use cachebus_core::protocol::AclOrder;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn whoever_orders_something_meanwhile_is_refused_at_once() {
        let (orders, mut inbox) = mpsc::channel(1);
        let (finish, finished) = oneshot::channel();
        let ordering = async {
            let (reply, outcome) = oneshot::channel();
            let order = Order::Acl(AclOrder {
                text: String::new(),
            });
            orders.send(Request { order, reply }).await.unwrap();
            let refused = outcome.await.unwrap().unwrap_err();
            finish.send(()).unwrap();
            refused.reason
        };
        let (done, reason) = tokio::join!(undisturbed(&mut inbox, finished), ordering);
        assert_eq!((done, reason.as_str()), (Ok(()), HANDOVER_RUNNING));
    }
}
