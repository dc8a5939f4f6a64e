//! Probes and metrics, for anyone in the pod's network.

use crate::error::AgentError;
use crate::metrics;
use crate::port::{self, Limits, Seat};
use crate::snapshot::Snapshot;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// Probes and scrapes: each from another address than the next, as a rule, and one connection at a time.
const LIMITS: Limits = Limits {
    name: "http",
    connections: 64,
    of_one: 8,
};
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last. It serves one request.
const CONNECTION: Duration = Duration::from_secs(10);

type Snapshots = watch::Receiver<Option<Snapshot>>;

/// The routes of the plain port.
pub(crate) fn routes(snapshots: Snapshots) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/metrics", get(serve_metrics))
        .with_state(snapshots)
}

/// Serves them until dropped.
pub(crate) async fn serve(listener: TcpListener, snapshots: Snapshots) {
    let routes = routes(snapshots);
    port::serve(listener, LIMITS, |stream, seat| {
        answer(stream, seat, routes.clone())
    })
    .await;
}

async fn answer(stream: TcpStream, _until_answered: Seat, routes: Router) -> io::Result<()> {
    let connection = port::http(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    timeout(CONNECTION, connection)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        .map_err(io::Error::other)
}

/// Opens a port. Where the system has no IPv6, all addresses are those of IPv4.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, AgentError> {
    let error = match TcpListener::bind(address).await {
        Ok(listener) => return Ok(listener),
        Err(error) => error,
    };
    if address.is_ipv6() && address.ip().is_unspecified() {
        let old = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        if let Ok(listener) = TcpListener::bind(old).await {
            return Ok(listener);
        }
    }
    Err(AgentError::Listen {
        address,
        source: error,
    })
}

async fn livez(State(snapshots): State<Snapshots>) -> Response {
    // Before the first turn of the loop there is nothing that could hang.
    verdict(
        snapshots
            .borrow()
            .as_ref()
            .and_then(|seen| seen.health.hung()),
    )
}

async fn readyz(State(snapshots): State<Snapshots>) -> Response {
    verdict(match snapshots.borrow().as_ref() {
        Some(seen) => seen.health.unready,
        None => Some("the agent has not come round yet"),
    })
}

async fn startupz(State(snapshots): State<Snapshots>) -> Response {
    let started = snapshots
        .borrow()
        .as_ref()
        .is_some_and(|seen| seen.health.started);
    verdict((!started).then_some("the first start is not done"))
}

async fn serve_metrics(State(snapshots): State<Snapshots>) -> Response {
    let seen = snapshots.borrow().clone();
    match seen.map(metrics::text) {
        Some(Ok(text)) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Some(Err(_)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn verdict(trouble: Option<&'static str>) -> Response {
    match trouble {
        None => "ok\n".into_response(),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests;
