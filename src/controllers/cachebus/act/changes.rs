//! What people and the spec ask for of pods that are well: another primary, other pods.

use super::{Acting, address};
use crate::agents::AgentError;
use crate::controllers::cachebus::report::Bus as Watched;
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use crate::partial::PartialPod;
use cachebus_core::events::refused as event_of_refusal;
use cachebus_core::names::Component;
use cachebus_core::observed::Observed;
use cachebus_core::plan::{handover_intended, refused, restart_intended};
use cachebus_core::protocol::{HandoverOrder, NodeStatus, Phase};
use kube::Api;
use kube::api::{DeleteParams, Preconditions};

impl Acting<'_> {
    /// Has the primary's agent hand the lead over. What becomes of it, it reports; what it refuses to begin is noted here.
    pub(super) async fn hand_over(
        &mut self,
        pod: &str,
        order: &HandoverOrder,
        watched: &mut Watched<'_>,
        observed: &mut Observed,
    ) {
        let still = self.still(|topology| handover_intended(topology, pod, order));
        if !still.await {
            return;
        }
        let Some(address) = address(Component::Redis, pod, observed) else {
            return;
        };
        fault::point(FaultPoint::BeforeHandover);
        tracing::info!(pod, to = order.to, epoch = order.epoch, "orders a handover");
        let answer = self.agents.hand_over(&address, order).await;
        fault::point(FaultPoint::AfterHandover);
        match answer {
            // Where clients go must follow before anything else is done.
            Ok(_) => self.acted.stale = true,
            Err(error) => {
                self.failed(pod, "/v1/handover", &error);
                let topology = observed.status.topology.as_ref();
                if let (AgentError::Refused { refusal, .. }, Some(topology)) = (&error, topology) {
                    let topology = refused(topology, refusal);
                    self.record(&topology, watched, observed).await;
                }
            }
        }
    }

    /// Deletes a pod, so that its StatefulSet makes it anew.
    pub(super) async fn restart(&mut self, pod: &str, uid: &str, observed: &Observed) {
        let alone = self.bus.spec.replicas == 0;
        let still = self.still(|topology| restart_intended(topology, pod, uid, alone));
        if !still.await {
            return;
        }
        if !alone && self.leads(pod, observed).await {
            // Sentinels made it the primary since.
            self.acted.stale = true;
            return;
        }
        fault::point(FaultPoint::BeforeRestart);
        tracing::info!(pod, uid, "restarts a pod");
        let api: Api<PartialPod> =
            Api::namespaced(self.context.client.clone(), self.bus.names.namespace());
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match api.delete(pod, &params).await {
            Ok(_) => {}
            // Gone since it was seen, or another one by now.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                self.acted.stale = true;
            }
            Err(error) => self
                .acted
                .failures
                .push(Error::api("delete", "Pod", pod, &error)),
        }
        fault::point(FaultPoint::AfterRestart);
    }

    /// Whether the agent of a data pod says at this moment that it leads.
    async fn leads(&self, pod: &str, observed: &Observed) -> bool {
        let Some(address) =
            address(Component::Redis, pod, observed).filter(|_| observed.data.contains_key(pod))
        else {
            return false;
        };
        let report = self.agents.look(&address).await;
        report.is_ok_and(|report| match &report.status.node {
            NodeStatus::Redis(data) => data.phase == Phase::Leading,
            NodeStatus::Sentinel(_) => false,
        })
    }

    /// Takes a request for another primary off the object, and tells why nothing comes of it where it is refused.
    pub(super) async fn answer(
        &mut self,
        asked: &str,
        refusal: Option<&str>,
        watched: &mut Watched<'_>,
    ) {
        let told = refusal.map(|why| event_of_refusal(asked, why));
        match watched.answer(self.context, Vec::from_iter(told)).await {
            Ok(true) => {}
            Ok(false) => self.acted.stale = true,
            Err(error) => self.acted.failures.push(error),
        }
    }
}
