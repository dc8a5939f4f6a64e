//! The agents of a bus's pods, over HTTPS with the bus's own certificates on both sides.

mod connection;
mod error;
mod tls;

pub use error::AgentError;

use crate::metrics::{Answer, Metrics};
use ::http::{Method, Request, StatusCode, header};
use cachebus_core::bus::Bus;
use cachebus_core::names::{API_PORT, Component, Names};
use cachebus_core::protocol::{AgentStatus, Refusal};
use cachebus_core::tls::Certificates;
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

/// Time that an agent has to answer how it is.
const LOOK: Duration = Duration::from_secs(1);
/// Time that an agent has to carry out an order.
const ORDER: Duration = Duration::from_secs(3);
/// Connections at once, over all buses.
const CONNECTIONS: usize = 24;

/// The way to the agents of every bus.
#[derive(Clone)]
pub struct Agents {
    configs: tls::Configs,
    connections: Arc<Semaphore>,
    metrics: Metrics,
}

impl Agents {
    /// The way to the agents of every bus.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            configs: tls::Configs::default(),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            metrics,
        }
    }

    /// The way to the agents of one bus.
    pub fn of(&self, bus: &Bus, certificates: &Certificates) -> Result<BusAgents, AgentError> {
        Ok(BusAgents {
            connector: self.configs.connector(bus, certificates)?,
            names: bus.names.clone(),
            agents: self.clone(),
        })
    }

    /// Forgets a bus that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.configs.forget(namespace, name);
    }
}

/// Where the agent of a pod is.
#[derive(Clone, Debug)]
pub struct Address {
    /// What the pod runs.
    pub component: Component,
    /// Its name.
    pub pod: String,
    /// Where its agent listens.
    pub socket: SocketAddr,
}

impl Address {
    /// Where the agent of a pod is. `None`: the pod's address is none.
    pub fn of(component: Component, pod: &str, ip: &str) -> Option<Self> {
        Some(Self {
            component,
            pod: pod.to_owned(),
            socket: SocketAddr::new(ip.parse().ok()?, API_PORT),
        })
    }
}

/// The way to the agents of one bus.
pub struct BusAgents {
    connector: TlsConnector,
    names: Names,
    agents: Agents,
}

impl BusAgents {
    /// Asks how the pod is.
    pub async fn look(&self, to: &Address) -> Result<AgentStatus, AgentError> {
        self.request(to, Method::GET, "/v1/status", Bytes::new(), LOOK)
            .await
    }

    /// Gives an order. The answer is how the pod is after it.
    pub async fn order(
        &self,
        to: &Address,
        path: &'static str,
        order: &impl Serialize,
    ) -> Result<AgentStatus, AgentError> {
        let body =
            serde_json::to_vec(order).map_err(|error| AgentError::unreadable(&to.pod, &error))?;
        self.request(to, Method::PUT, path, body.into(), ORDER)
            .await
    }

    async fn request(
        &self,
        to: &Address,
        method: Method,
        path: &'static str,
        body: Bytes,
        deadline: Duration,
    ) -> Result<AgentStatus, AgentError> {
        let exchange = async {
            // Never closed. Waiting for a place counts too: an order that comes late rests on what was seen long ago.
            let _connection = self.agents.connections.acquire().await;
            self.exchange(to, method, path, body).await
        };
        let result = tokio::time::timeout(deadline, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(AgentError::Deadline {
                    pod: to.pod.clone(),
                    after: deadline,
                })
            });
        let answer = Answer {
            result: result.as_ref().map_or_else(AgentError::reason, |_| "ok"),
        };
        self.agents
            .metrics
            .agent_requests
            .get_or_create(&answer)
            .inc();
        result
    }

    async fn exchange(
        &self,
        to: &Address,
        method: Method,
        path: &'static str,
        body: Bytes,
    ) -> Result<AgentStatus, AgentError> {
        let host = self.names.pod_fqdn(to.component, &to.pod);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| AgentError::unreadable(&to.pod, &error))?;
        let (status, body) = connection::exchange(&self.connector, to, &host, request).await?;
        match status {
            StatusCode::OK => serde_json::from_slice(&body)
                .map_err(|error| AgentError::unreadable(&to.pod, &error)),
            StatusCode::CONFLICT => {
                let refusal: Refusal = serde_json::from_slice(&body)
                    .map_err(|error| AgentError::unreadable(&to.pod, &error))?;
                Err(AgentError::Refused {
                    pod: to.pod.clone(),
                    refusal,
                })
            }
            other => Err(AgentError::Status {
                pod: to.pod.clone(),
                status: other.as_u16(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
