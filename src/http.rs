//! `/healthz`, `/readyz` and `/metrics`, for anyone in the pod's network.

use crate::metrics::Metrics;
use crate::readiness::Readiness;
use ::http::{StatusCode, header};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cachebus_agent::port::{self, Limits, Seat};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Probes and scrapes: each from another address than the next, as a rule, and one connection at a time.
const LIMITS: Limits = Limits {
    name: "http",
    connections: 64,
    of_one: 8,
};
/// How long the head of a request may take, and a connection may be without one.
const HEAD: Duration = Duration::from_secs(5);

/// Serves until dropped.
pub async fn serve(listener: TcpListener, readiness: Readiness, metrics: Metrics) {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(text).with_state(metrics));
    port::serve(listener, LIMITS, |stream, seat| {
        answer(stream, seat, routes.clone())
    })
    .await;
}

async fn answer(stream: TcpStream, _until_closed: Seat, routes: Router) -> io::Result<()> {
    port::http(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await
        .map_err(io::Error::other)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let (ready, report) = readiness.report();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, report)
}

async fn text(State(metrics): State<Metrics>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{HEAD, LIMITS, serve};
    use crate::metrics::Metrics;
    use crate::readiness::Readiness;
    use std::net::{Ipv4Addr, SocketAddr};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::time::{Instant, timeout};

    const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: operator\r\nconnection: close\r\n\r\n";

    /// A connection from an address of its own on the loopback network.
    async fn from(last: u8, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind((Ipv4Addr::new(127, 0, 0, last), 0).into())
            .unwrap();
        socket.connect(to).await.unwrap()
    }

    /// What is answered until the connection is closed.
    async fn answer(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        // One that is closed with something unread is reset.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn who_holds_connections_open_keeps_nobody_out_and_is_sent_away() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Readiness::default(), Metrics::new()));
        let begun = Instant::now();
        let mut silent = Vec::new();
        for number in 0..=LIMITS.connections {
            let peer = u8::try_from(10 + number / LIMITS.of_one).unwrap();
            silent.push(from(peer, port).await);
        }
        let oldest = timeout(HEAD / 2, answer(silent.remove(0))).await;
        assert_eq!(oldest.unwrap(), "");
        let mut probe = from(100, port).await;
        probe.write_all(REQUEST).await.unwrap();
        let probed = timeout(HEAD / 2, answer(probe)).await.unwrap();
        assert!(probed.starts_with("HTTP/1.1 200"), "{probed}");

        let newest = silent.pop().unwrap();
        let newest = timeout(2 * HEAD, answer(newest)).await.unwrap();
        assert!(!newest.starts_with("HTTP/1.1 200"), "{newest}");
        assert!(begun.elapsed() >= HEAD, "a slow peer has its time");
    }
}
