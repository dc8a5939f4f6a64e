//! What people and the spec ask for of pods that are well: another primary, other pods.

use super::{Acting, address};
use crate::agents::AgentError;
use crate::controllers::cachebus::report::Bus as Watched;
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use crate::ownership::only;
use crate::partial::PartialPod;
use cachebus_core::events::EventDraft;
use cachebus_core::names::Component;
use cachebus_core::observed::Observed;
use cachebus_core::plan::{handover_intended, primary_may_go, refused, restart_intended};
use cachebus_core::protocol::{HandoverOrder, NodeStatus, Phase};
use k8s_openapi::NamespaceResourceScope;
use kube::api::DeleteParams;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

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
            // Where clients go must follow before anything else is done. What takes longer goes on, and its agent reports it.
            Ok(_) | Err(AgentError::Deadline { .. }) => self.acted.stale = true,
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

    /// Deletes a pod, so that its StatefulSet makes it anew; with its claim where that is given: then on an empty volume.
    pub(super) async fn restart(
        &mut self,
        pod: &str,
        uid: &str,
        claim: Option<&str>,
        observed: &Observed,
    ) {
        let alone = self.bus.spec.replicas == 0;
        let primary_too = primary_may_go(self.bus, observed, pod);
        let still = self.still(|topology| restart_intended(topology, pod, uid, primary_too));
        if !still.await {
            return;
        }
        if !alone && self.may_lead(pod, observed).await {
            // Sentinels made it the primary since, or nobody can tell.
            self.acted.stale = true;
            return;
        }
        fault::point(FaultPoint::BeforeRestart);
        // Its StatefulSet makes no pod while a claim of it is being deleted, and that stays until the pod is gone.
        if let Some(claim) = claim
            && !self.give_up(pod, claim, observed).await
        {
            return;
        }
        tracing::info!(pod, uid, "restarts a pod");
        self.delete::<PartialPod>("Pod", pod, &only(uid)).await;
        fault::point(FaultPoint::AfterRestart);
    }

    /// Deletes an object. `false`: it is gone since it was seen, or another one by now, or cannot be deleted.
    pub(super) async fn delete<K>(&mut self, kind: &str, name: &str, params: &DeleteParams) -> bool
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let namespace = self.bus.names.namespace();
        let api: Api<K> = Api::namespaced(self.context.client.clone(), namespace);
        match api.delete(name, params).await {
            Ok(_) => return true,
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                self.acted.stale = true;
            }
            Err(error) => self
                .acted
                .failures
                .push(Error::api("delete", kind, name, &error)),
        }
        false
    }

    /// Whether the agent of a data pod says at this moment that it leads. `None`: it says nothing.
    pub(super) async fn leads(&self, pod: &str, observed: &Observed) -> Option<bool> {
        let address = address(Component::Redis, pod, observed)?;
        let report = self.agents.look(&address).await.ok()?;
        Some(match &report.status.node {
            NodeStatus::Redis(data) => data.phase == Phase::Leading,
            NodeStatus::Sentinel(_) => false,
        })
    }

    /// Whether a pod may be the primary by now: its agent says so, or says nothing though nothing else tells that it is broken.
    pub(super) async fn may_lead(&self, pod: &str, observed: &Observed) -> bool {
        let seen = observed.data.get(pod).and_then(|node| node.pod.as_ref());
        let silent = || seen.is_some_and(|seen| seen.ip.is_some() && !seen.is_broken());
        self.leads(pod, observed).await.unwrap_or_else(silent)
    }

    /// Takes a request off the object, the annotation by which it was made, and tells why nothing comes of it where it is refused.
    pub(super) async fn answer(
        &mut self,
        annotation: &str,
        told: Option<EventDraft>,
        watched: &mut Watched<'_>,
    ) {
        let answered = watched.answer(self.context, annotation, Vec::from_iter(told));
        match answered.await {
            Ok(true) => {}
            Ok(false) => self.acted.stale = true,
            Err(error) => self.acted.failures.push(error),
        }
    }
}
