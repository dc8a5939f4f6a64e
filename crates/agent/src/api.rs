//! The operator's way to this agent, see [`cachebus_core::protocol`].

use crate::order::{Order, Orders, Outcome, Request};
use crate::snapshot::Snapshot;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use cachebus_core::protocol::{
    AclOrder, ConfigOrder, FlushOrder, HANDOVER, HOLD, HandoverOrder, MonitorOrder, RetireOrder,
    TopologyOrder,
};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long an order may take, but for that to hand the lead over. The agent carries on with one that it has begun, and leaves one that it has not.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Agent {
    snapshots: watch::Receiver<Option<Snapshot>>,
    orders: Orders,
}

/// The routes of the operator's port.
pub(crate) fn routes(snapshots: watch::Receiver<Option<Snapshot>>, orders: Orders) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/status/after/{revision}", get(status_after))
        .route("/v1/topology", put(topology))
        .route("/v1/handover", put(handover))
        .route("/v1/config", put(config))
        .route("/v1/flush", put(flush))
        .route("/v1/acl", put(acl))
        .route("/v1/monitor", put(monitor))
        .route("/v1/retire", put(retire))
        .with_state(Agent { snapshots, orders })
}

async fn status(State(agent): State<Agent>) -> Response {
    report(agent.snapshots.borrow().as_ref())
}

async fn status_after(State(mut agent): State<Agent>, Path(revision): Path<String>) -> Response {
    let other = |seen: &Option<Snapshot>| {
        seen.as_ref()
            .is_none_or(|snapshot| snapshot.status.revision() != revision)
    };
    match timeout(HOLD, agent.snapshots.wait_for(other)).await {
        Ok(Ok(seen)) => report(seen.as_ref()),
        // The agent is ending.
        Ok(Err(_)) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Err(_) => StatusCode::NO_CONTENT.into_response(),
    }
}

/// What the agent knows, with its revision.
fn report(seen: Option<&Snapshot>) -> Response {
    match seen {
        Some(snapshot) => {
            let revision = format!("\"{}\"", snapshot.status.revision());
            ([(header::ETAG, revision)], Json(&snapshot.status)).into_response()
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn topology(State(agent): State<Agent>, Json(order): Json<TopologyOrder>) -> Response {
    agent.pass_on(Order::Topology(order)).await
}

async fn handover(State(agent): State<Agent>, Json(order): Json<HandoverOrder>) -> Response {
    agent.pass_on(Order::Handover(order)).await
}

async fn config(State(agent): State<Agent>, Json(order): Json<ConfigOrder>) -> Response {
    agent.pass_on(Order::Config(order)).await
}

async fn flush(State(agent): State<Agent>, Json(order): Json<FlushOrder>) -> Response {
    agent.pass_on(Order::Flush(order)).await
}

async fn acl(State(agent): State<Agent>, Json(order): Json<AclOrder>) -> Response {
    agent.pass_on(Order::Acl(order)).await
}

async fn monitor(State(agent): State<Agent>, Json(order): Json<MonitorOrder>) -> Response {
    agent.pass_on(Order::Monitor(order)).await
}

async fn retire(State(agent): State<Agent>, Json(order): Json<RetireOrder>) -> Response {
    agent.pass_on(Order::Retire(order)).await
}

impl Agent {
    async fn pass_on(&self, order: Order) -> Response {
        let deadline = match order {
            Order::Handover(_) => HANDOVER,
            _ => DEADLINE,
        };
        match timeout(deadline, self.outcome(order)).await {
            Ok(Some(Ok(status))) => Json(status).into_response(),
            Ok(Some(Err(refusal))) => (StatusCode::CONFLICT, Json(refusal)).into_response(),
            Ok(None) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
        }
    }

    /// `None`: the agent is ending.
    async fn outcome(&self, order: Order) -> Option<Outcome> {
        let (reply, outcome) = oneshot::channel();
        self.orders.send(Request { order, reply }).await.ok()?;
        outcome.await.ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::snapshot::Health;
    use cachebus_core::protocol::{AgentStatus, NodeStatus, SentinelStatus};
    use std::sync::Arc;
    use tokio::time::Instant;

    fn snapshot(crashes: u64) -> Snapshot {
        Snapshot {
            status: AgentStatus {
                pod: "b-sentinel-0".to_owned(),
                uid: "u".to_owned(),
                agent_version: "0".to_owned(),
                engine: None,
                crashes,
                acl_digest: None,
                certificate_expires: None,
                certificate: None,
                node: NodeStatus::Sentinel(SentinelStatus::default()),
            },
            health: Health {
                looped: Instant::now(),
                answered: None,
                started: true,
                unready: None,
            },
            info: Arc::default(),
            streams: Arc::default(),
            keyspaces: Arc::default(),
        }
    }

    fn agent(seen: Option<Snapshot>) -> (watch::Sender<Option<Snapshot>>, Agent) {
        let (publish, snapshots) = watch::channel(seen);
        let (orders, _) = tokio::sync::mpsc::channel(1);
        (publish, Agent { snapshots, orders })
    }

    async fn after(agent: &Agent, revision: &str) -> Response {
        status_after(State(agent.clone()), Path(revision.to_owned())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_that_does_not_change_is_held_for_its_time_and_not_repeated() {
        let (publish, agent) = agent(Some(snapshot(0)));
        let begun = Instant::now();
        let held = tokio::spawn({
            let agent = agent.clone();
            async move { after(&agent, &snapshot(0).status.revision()).await }
        });
        tokio::time::sleep(HOLD / 2).await;
        publish.send_replace(Some(snapshot(0)));
        assert_eq!(held.await.unwrap().status(), StatusCode::NO_CONTENT);
        assert_eq!(begun.elapsed(), HOLD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_that_changes_is_told_with_its_revision() {
        let (publish, agent) = agent(Some(snapshot(0)));
        let begun = Instant::now();
        let revision = snapshot(0).status.revision();
        let (told, _) = tokio::join!(after(&agent, &revision), async {
            publish.send_replace(Some(snapshot(1)))
        });
        assert_eq!(told.status(), StatusCode::OK);
        let named = told.headers()[header::ETAG].to_str().unwrap();
        assert_eq!(named.trim_matches('"'), snapshot(1).status.revision());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn an_agent_that_has_not_come_round_or_ends_holds_nothing() {
        let (publish, young) = agent(None);
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(after(&young, "0").await.status(), unavailable);
        publish.send_replace(Some(snapshot(0)));
        drop(publish);
        let revision = snapshot(0).status.revision();
        assert_eq!(after(&young, &revision).await.status(), unavailable);
    }
}
