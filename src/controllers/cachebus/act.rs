//! Carries out a plan. Nothing is waited for: the next look shows what became of it.

mod changes;
mod volumes;

use super::observe::now_ms;
use super::report::{self, Bus as Watched};
use crate::agents::{Address, AgentError, BusAgents};
use crate::context::Context;
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use crate::partial::{PartialBus, PartialPod};
use cachebus_api::CacheBusStatus;
use cachebus_api::status::Topology;
use cachebus_core::bus::Bus;
use cachebus_core::events;
use cachebus_core::names::{
    AWAITS_ANNOTATION, Component, FLUSH_ANNOTATION, MANAGER, ROLE_LABEL, SWITCHOVER_ANNOTATION,
};
use cachebus_core::observed::Observed;
use cachebus_core::plan::{
    Action, Blocked, Plan, flush_intended, intended, reason, retirement_intended,
};
use cachebus_core::protocol::TopologyOrder;
use cachebus_core::status::recorded;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Age at which what was seen is too old to act on, milliseconds.
const TOO_OLD_MS: u64 = 10_000;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Acted {
    /// What was refused or did not reach its pod.
    pub blocked: Vec<Blocked>,
    /// What the API server did not do.
    pub failures: Vec<Error>,
    /// Something else changed what the plan rests on. The pass must begin anew.
    pub stale: bool,
}

/// Carries out a plan. A pod that fails does not keep the others from theirs.
pub async fn act(
    context: &Context,
    bus: &Bus,
    agents: &BusAgents,
    watched: &mut Watched<'_>,
    observed: &mut Observed,
    plan: &Plan,
) -> Acted {
    let mut acting = Acting {
        context,
        bus,
        agents,
        acted: Acted::default(),
        lost: BTreeSet::new(),
    };
    for action in &plan.actions {
        if now_ms().abs_diff(observed.now_ms) > TOO_OLD_MS {
            acting.acted.stale = true;
        }
        if acting.acted.stale {
            break;
        }
        acting.carry_out(action, watched, observed).await;
    }
    acting.acted
}

struct Acting<'a> {
    context: &'a Context,
    bus: &'a Bus,
    agents: &'a BusAgents,
    acted: Acted,
    /// Pods that failed once in this pass; nothing more is asked of them.
    lost: BTreeSet<String>,
}

impl Acting<'_> {
    async fn carry_out(
        &mut self,
        action: &Action,
        watched: &mut Watched<'_>,
        observed: &mut Observed,
    ) {
        match action {
            Action::Record(topology) => self.record(topology, watched, observed).await,
            Action::HandOver { pod, order } => self.hand_over(pod, order, watched, observed).await,
            Action::Restart { pod, uid, claim } => {
                self.restart(pod, uid, claim.as_deref(), observed).await;
            }
            Action::Remake { component, uid } => {
                self.remake(*component, uid, observed).await;
            }
            Action::Grow { pod, claim, size } => self.grow(pod, claim, size).await,
            Action::Answer { asked, refusal } => {
                let told = refusal.as_deref().map(|why| events::refused(asked, why));
                self.answer(SWITCHOVER_ANNOTATION, told, watched).await;
            }
            Action::AnswerFlush { asked, refusal } => {
                let told = refusal.as_deref();
                let told = told.map(|why| events::flush_refused(asked, why));
                self.answer(FLUSH_ANNOTATION, told, watched).await;
            }
            Action::Flush { pod, order } => {
                let still = self.still_says(|status| flush_intended(status.flush.as_ref(), order));
                if still.await {
                    tracing::info!(pod, number = order.number, "orders a flush");
                    self.send(Component::Redis, pod, "/v1/flush", order, observed)
                        .await;
                }
            }
            Action::Order { pod, order } => {
                let decisive = action.changes_topology(observed);
                self.order(pod, order, decisive, observed).await;
            }
            Action::Monitor { pod, order } => {
                fault::point(FaultPoint::BeforeMonitor);
                self.send(Component::Sentinel, pod, "/v1/monitor", order, observed)
                    .await;
                fault::point(FaultPoint::AfterMonitor);
            }
            Action::Retire { pod, order } => {
                let names = &self.bus.names;
                if self
                    .still(|topology| retirement_intended(topology, names, pod))
                    .await
                {
                    tracing::info!(pod, "has a Sentinel retire");
                    self.send(Component::Sentinel, pod, "/v1/retire", order, observed)
                        .await;
                }
            }
            Action::Configure { pod, order } => {
                self.send(Component::Redis, pod, "/v1/config", order, observed)
                    .await;
            }
            Action::SetUsers { pod, order } => {
                let component = if observed.data.contains_key(pod) {
                    Component::Redis
                } else {
                    Component::Sentinel
                };
                self.send(component, pod, "/v1/acl", order, observed).await;
            }
            Action::Label { pod, role } => {
                let labels = json!({"metadata": {"labels": {ROLE_LABEL: role}}});
                self.patch_pod(pod, &Patch::Merge(labels)).await;
                fault::point(FaultPoint::AfterLabel);
            }
            Action::Refresh { pod, awaited } => {
                let noted = json!({"metadata": {"annotations": {AWAITS_ANNOTATION: awaited}}});
                self.patch_pod(pod, &Patch::Merge(noted)).await;
            }
        }
    }

    /// Writes an intent down, before anything follows from it.
    async fn record(
        &mut self,
        topology: &Topology,
        watched: &mut Watched<'_>,
        observed: &mut Observed,
    ) {
        fault::point(FaultPoint::BeforeRecord);
        let status = recorded(self.bus, observed, topology);
        tracing::info!(?topology, "records the topology");
        let after = FaultPoint::AfterRecord;
        match report::write(self.context, watched, &status, after).await {
            Ok(true) => observed.status = status,
            Ok(false) => self.acted.stale = true,
            Err(error) => {
                // What follows in the plan follows from this.
                self.acted.failures.push(error);
                self.acted.stale = true;
            }
        }
    }

    /// Sends an order to a data pod; one that is `decisive`, since the primary changes by it, only while it is still intended.
    async fn order(
        &mut self,
        pod: &str,
        order: &TopologyOrder,
        decisive: bool,
        observed: &Observed,
    ) {
        if decisive && !self.still(|topology| intended(topology, order)).await {
            return;
        }
        let (before, after) = if order.primary == pod {
            (FaultPoint::BeforeLead, FaultPoint::AfterLead)
        } else {
            (FaultPoint::BeforeFollow, FaultPoint::AfterFollow)
        };
        fault::point(before);
        tracing::info!(pod, primary = order.primary, epoch = order.epoch, "orders");
        self.send(Component::Redis, pod, "/v1/topology", order, observed)
            .await;
        fault::point(after);
    }

    /// Whether the API server itself, and no store that may lag, still records the topology that an action rests on.
    async fn still(&mut self, intends: impl FnOnce(&Topology) -> bool) -> bool {
        self.still_says(|status| status.topology.as_ref().is_some_and(intends))
            .await
    }

    /// Whether the API server itself, and no store that may lag, still says what an action rests on.
    async fn still_says(&mut self, intends: impl FnOnce(&CacheBusStatus) -> bool) -> bool {
        match self.live_status().await {
            Ok(status) if status.as_ref().is_some_and(intends) => return true,
            Ok(_) => self.acted.stale = true,
            Err(error) => self.acted.failures.push(error),
        }
        false
    }

    /// What is recorded of the bus, where it is there and not being deleted.
    async fn live_status(&self) -> Result<Option<CacheBusStatus>, Error> {
        let names = &self.bus.names;
        let api: Api<PartialBus> = Api::namespaced(self.context.client.clone(), names.namespace());
        let live = api
            .get_opt(names.bus())
            .await
            .map_err(|error| Error::api("get", "CacheBus", names.bus(), &error))?;
        let live = live.filter(|live| {
            live.metadata.deletion_timestamp.is_none()
                && live.metadata.uid.as_deref() == Some(&self.bus.uid)
        });
        Ok(live.and_then(|live| live.status))
    }

    async fn send(
        &mut self,
        component: Component,
        pod: &str,
        path: &'static str,
        order: &impl serde::Serialize,
        observed: &Observed,
    ) {
        let Some(address) = address(component, pod, observed).filter(|_| !self.lost.contains(pod))
        else {
            return;
        };
        if let Err(error) = self.agents.order(&address, path, order).await {
            self.failed(pod, path, &error);
        }
    }

    fn failed(&mut self, pod: &str, path: &'static str, error: &AgentError) {
        tracing::warn!(%error, path, "an order was not carried out");
        self.lost.insert(pod.to_owned());
        self.acted.blocked.push(not_obeyed(error));
    }

    /// Changes a pod, if it is still there; one that comes in its place is seen to later. `false`: it failed.
    async fn patch_pod(&mut self, pod: &str, patch: &Patch<Value>) -> bool {
        let api: Api<PartialPod> =
            Api::namespaced(self.context.client.clone(), self.bus.names.namespace());
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match api.patch(pod, &params, patch).await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) if status.code == 404 => true,
            Err(error) => {
                let error = Error::api("patch", "Pod", pod, &error);
                self.acted.failures.push(error);
                false
            }
        }
    }
}

/// Where the agent of a pod is, as far as was seen.
fn address(component: Component, pod: &str, observed: &Observed) -> Option<Address> {
    let nodes = match component {
        Component::Redis => &observed.data,
        Component::Sentinel => &observed.sentinels,
    };
    let seen = nodes.get(pod)?.pod.as_ref()?;
    Address::of(component, pod, seen.ip.as_ref()?)
}

fn not_obeyed(error: &AgentError) -> Blocked {
    let reason = match error {
        AgentError::Refused { .. } => reason::ORDER_REFUSED,
        _ => reason::ORDER_FAILED,
    };
    Blocked {
        reason,
        message: error.to_string(),
    }
}
