//! Carries out a plan. Nothing is waited for: the next look shows what became of it.

use super::observe::now_ms;
use super::report::{self, Bus as Watched};
use crate::agents::{Address, AgentError, BusAgents};
use crate::context::Context;
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use crate::partial::{PartialBus, PartialPod};
use cachebus_core::bus::Bus;
use cachebus_core::names::{Component, MANAGER, ROLE_LABEL};
use cachebus_core::observed::Observed;
use cachebus_core::plan::{Action, Blocked, Plan, intended, reason};
use cachebus_core::protocol::TopologyOrder;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
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
            Action::Record(topology) => {
                fault::point(FaultPoint::BeforeRecord);
                let mut status = observed.status.clone();
                status.topology = Some(topology.clone());
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
                self.label(pod, role).await;
                fault::point(FaultPoint::AfterLabel);
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
        if decisive {
            match self.still_holds(order).await {
                Ok(true) => {}
                Ok(false) => {
                    self.acted.stale = true;
                    return;
                }
                Err(error) => {
                    self.acted.failures.push(error);
                    return;
                }
            }
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

    /// Whether the API server itself, and no store that may lag, still says what an order rests on.
    async fn still_holds(&self, order: &TopologyOrder) -> Result<bool, Error> {
        let names = &self.bus.names;
        let api: Api<PartialBus> = Api::namespaced(self.context.client.clone(), names.namespace());
        let live = api
            .get_opt(names.bus())
            .await
            .map_err(|error| Error::api("get", "CacheBus", names.bus(), &error))?;
        let Some(live) = live.filter(|live| live.metadata.deletion_timestamp.is_none()) else {
            return Ok(false);
        };
        Ok(live.metadata.uid.as_deref() == Some(&self.bus.uid)
            && live
                .status
                .and_then(|status| status.topology)
                .is_some_and(|topology| intended(&topology, order)))
    }

    async fn send(
        &mut self,
        component: Component,
        pod: &str,
        path: &'static str,
        order: &impl serde::Serialize,
        observed: &Observed,
    ) {
        let nodes = match component {
            Component::Redis => &observed.data,
            Component::Sentinel => &observed.sentinels,
        };
        let address = nodes
            .get(pod)
            .and_then(|node| Address::of(component, pod, node.pod.as_ref()?.ip.as_ref()?));
        let Some(address) = address.filter(|_| !self.lost.contains(pod)) else {
            return;
        };
        if let Err(error) = self.agents.order(&address, path, order).await {
            tracing::warn!(%error, path, "an order was not carried out");
            self.lost.insert(pod.to_owned());
            self.acted.blocked.push(not_obeyed(&error));
        }
    }

    async fn label(&mut self, pod: &str, role: &str) {
        let api: Api<PartialPod> =
            Api::namespaced(self.context.client.clone(), self.bus.names.namespace());
        let patch = json!({"metadata": {"labels": {ROLE_LABEL: role}}});
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match api.patch(pod, &params, &Patch::Merge(&patch)).await {
            Ok(_) => {}
            // Gone since it was seen; its successor will be labelled.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => self
                .acted
                .failures
                .push(Error::api("patch", "Pod", pod, &error)),
        }
    }
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
