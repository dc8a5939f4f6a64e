//! The operator's way to this agent, see [`cachebus_core::protocol`].

use crate::order::{Order, Orders, Outcome, Request};
use crate::snapshot::Snapshot;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use cachebus_core::protocol::{AclOrder, ConfigOrder, MonitorOrder, TopologyOrder};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long an order may take. The agent carries on with one that it has begun, and leaves one that it has not.
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
        .route("/v1/topology", put(topology))
        .route("/v1/config", put(config))
        .route("/v1/acl", put(acl))
        .route("/v1/monitor", put(monitor))
        .with_state(Agent { snapshots, orders })
}

async fn status(State(agent): State<Agent>) -> Response {
    let seen = agent.snapshots.borrow();
    match seen.as_ref() {
        Some(snapshot) => Json(&snapshot.status).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn topology(State(agent): State<Agent>, Json(order): Json<TopologyOrder>) -> Response {
    agent.pass_on(Order::Topology(order)).await
}

async fn config(State(agent): State<Agent>, Json(order): Json<ConfigOrder>) -> Response {
    agent.pass_on(Order::Config(order)).await
}

async fn acl(State(agent): State<Agent>, Json(order): Json<AclOrder>) -> Response {
    agent.pass_on(Order::Acl(order)).await
}

async fn monitor(State(agent): State<Agent>, Json(order): Json<MonitorOrder>) -> Response {
    agent.pass_on(Order::Monitor(order)).await
}

impl Agent {
    async fn pass_on(&self, order: Order) -> Response {
        match timeout(DEADLINE, self.outcome(order)).await {
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
