//! What the agents answer, and the requests that they hold.

use super::Pods;
use crate::testing::Api;
use cachebus_core::protocol::{
    AgentStatus, FlushOrder, FlushReport, HandoverOrder, Refusal, TopologyOrder,
};
use serde_json::json;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

impl Pods {
    pub(super) async fn serve(
        self,
        name: &'static str,
        listener: TcpListener,
        acceptor: TlsAcceptor,
        api: Api,
    ) {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = self
                .clone()
                .converse(name, stream, acceptor.clone(), api.clone());
            tokio::spawn(connection);
        }
    }

    async fn converse(
        self,
        name: &'static str,
        stream: TcpStream,
        acceptor: TlsAcceptor,
        api: Api,
    ) {
        // An operator that does not trust the certificate goes away.
        let Ok(mut stream) = acceptor.accept(stream).await else {
            return;
        };
        let (path, body) = request(&mut stream).await;
        if let Some(known) = path.strip_prefix("/v1/status/after/") {
            match self.hold(name, known, &mut stream).await {
                Some(true) => {}
                Some(false) => {
                    let end = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                    let _ = stream.write_all(end.as_bytes()).await;
                    let _ = stream.shutdown().await;
                    return;
                }
                None => return,
            }
        }
        let status = match self.answer(name, &path, &body, &api) {
            Ok(status) => status,
            Err(refusal) => {
                let body = json!(refusal).to_string();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 409 Conflict\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
        };
        let (revision, status) = (status.revision(), json!(status).to_string());
        let head = format!(
            "HTTP/1.1 200 OK\r\netag: \"{revision}\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            status.len()
        );
        // An operator that has gone meanwhile hears nothing.
        let _ = stream.write_all((head + &status).as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    /// Holds a request: whether there is news. `None`: the operator has gone.
    async fn hold(
        &self,
        name: &'static str,
        known: &str,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Option<bool> {
        let held = (name, known.to_owned());
        self.held.send_modify(|all| all.now.push(held.clone()));
        let mut changes = self.changes.subscribe();
        let news = async {
            let news =
                changes.wait_for(|()| self.state.lock().unwrap().status(name).revision() != known);
            timeout(self.hold, news).await.is_ok()
        };
        let mut byte = [0];
        let outcome = tokio::select! {
            news = pin!(news) => Some(news),
            _ = stream.read(&mut byte) => None,
        };
        self.held.send_modify(|all| {
            let place = all.now.iter().position(|other| *other == held);
            all.now.swap_remove(place.unwrap());
            all.without_news += usize::from(outcome == Some(false));
        });
        outcome
    }

    fn answer(
        &self,
        name: &str,
        path: &str,
        body: &[u8],
        api: &Api,
    ) -> Result<AgentStatus, Refusal> {
        let recorded = || api.get("cachebuses", "b").unwrap()["status"]["topology"].clone();
        let mut state = self.state.lock().unwrap();
        match path {
            "/v1/handover" => {
                let order: HandoverOrder = serde_json::from_slice(body).unwrap();
                state.handovers.push((order.clone(), recorded()));
                if let Some(refusal) = &state.refusal {
                    return Err(refusal.clone());
                }
                state.hand_over(name, order.to);
            }
            "/v1/topology" => {
                let order: TopologyOrder = serde_json::from_slice(body).unwrap();
                if order.primary == name {
                    state.leads.push((name.to_owned(), recorded()));
                }
                state
                    .following
                    .insert(name.to_owned(), (order.primary, order.epoch));
            }
            "/v1/flush" => {
                let order: FlushOrder = serde_json::from_slice(body).unwrap();
                let report = FlushReport {
                    number: order.number,
                    outcome: state.flush_outcome.clone(),
                };
                state.flushed.insert(name.to_owned(), report);
                let object = api.get("cachebuses", "b").unwrap();
                state.flushes.push((order, object));
            }
            "/v1/monitor" => {
                state
                    .monitoring
                    .insert(name.to_owned(), serde_json::from_slice(body).unwrap());
            }
            _ => {}
        }
        let status = state.status(name);
        drop(state);
        self.changes.send_replace(());
        Ok(status)
    }
}

/// Path and body of a request.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> (String, Vec<u8>) {
    let mut text = Vec::new();
    loop {
        let read = stream.read_buf(&mut text).await.unwrap();
        let head = text
            .windows(4)
            .position(|end| end == b"\r\n\r\n")
            .map(|at| at + 4);
        if let Some(head) = head {
            let (head, body) = (
                String::from_utf8_lossy(&text[..head]).into_owned(),
                &text[head..],
            );
            let length = head.lines().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            });
            if body.len() >= length.unwrap_or(0) {
                let path = head.split(' ').nth(1).unwrap().to_owned();
                return (path, body.to_vec());
            }
        }
        assert_ne!(read, 0, "a whole request");
    }
}
