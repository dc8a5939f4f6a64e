//! The agents of a bus's pods, over HTTPS with the bus's own certificates on both sides.

mod connection;
mod error;
mod tls;

pub use error::AgentError;

use crate::metrics::{Answer, Metrics};
use ::http::{Method, Request, Response, StatusCode, header};
use cachebus_core::bus::Bus;
use cachebus_core::names::{API_PORT, Component, Names};
use cachebus_core::protocol::{AgentStatus, HOLD, HandoverOrder};
use cachebus_core::tls::Certificates;
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

/// Time that an agent has to answer how it is.
const LOOK: Duration = Duration::from_secs(1);
/// Time that an agent has to carry out an order.
const ORDER: Duration = Duration::from_secs(3);
/// Time that an agent has to tell of a change, or that there was none: a while more than it waits for one.
const CHANGE: Duration = HOLD.saturating_add(Duration::from_secs(5));
/// Looks at once, over all buses. Each pass gives its orders one after another, and a change is awaited at leisure: neither
/// counts.
const LOOKS: usize = 24;

/// The way to the agents of every bus.
#[derive(Clone)]
pub struct Agents {
    configs: tls::Configs,
    looks: Arc<Semaphore>,
    metrics: Metrics,
}

impl Agents {
    /// The way to the agents of every bus.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            configs: tls::Configs::default(),
            looks: Arc::new(Semaphore::new(LOOKS)),
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

/// How a pod is.
pub struct Report {
    /// What its agent says.
    pub status: AgentStatus,
    /// By what the agent can tell whether it would say another thing by now. `None`: it is too old to know.
    pub revision: Option<Revision>,
}

/// What an agent calls a report of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(String);

impl Revision {
    /// The revision that an answer names.
    fn of(answer: &Response<Bytes>) -> Option<Self> {
        Self::read(answer.headers().get(header::ETAG)?.to_str().ok()?)
    }

    /// The revision in an `ETag`, where it is one that a path may hold.
    pub fn read(tag: &str) -> Option<Self> {
        let revision = tag.strip_prefix('"')?.strip_suffix('"')?;
        let plain = revision.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (plain && !revision.is_empty()).then(|| Self(revision.to_owned()))
    }
}

/// The way to the agents of one bus.
pub struct BusAgents {
    connector: TlsConnector,
    names: Names,
    agents: Agents,
}

impl BusAgents {
    /// Whether both show the same certificates and trust the same authority.
    pub fn same_identity(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.connector.config(), other.connector.config())
    }

    /// Asks how the pod is, when its turn comes. The wait for that is not the agent's: those that are silent hold their place
    /// for all of their time, and none behind them is to be taken for silent too.
    pub async fn look(&self, to: &Address) -> Result<Report, AgentError> {
        // Never closed.
        let _place = self.agents.looks.acquire().await;
        let asked = Box::pin(self.request(to, Method::GET, "/v1/status", Bytes::new()));
        let answer = self.counted(to, LOOK, asked).await?;
        let status: AgentStatus = read(to, answer.body())?;
        // Addresses that a node gave out anew while nobody looked: all pods of a bus show one certificate.
        if status.pod != to.pod {
            return Err(AgentError::Stranger {
                pod: to.pod.clone(),
                stranger: status.pod,
            });
        }
        Ok(Report {
            status,
            revision: Revision::of(&answer),
        })
    }

    /// Gives an order. The answer is how the pod is after it.
    pub async fn order(
        &self,
        to: &Address,
        path: &str,
        order: &impl Serialize,
    ) -> Result<AgentStatus, AgentError> {
        let body =
            serde_json::to_vec(order).map_err(|error| AgentError::unreadable(&to.pod, &error))?;
        let given = Box::pin(self.request(to, Method::PUT, path, body.into()));
        read(to, self.counted(to, ORDER, given).await?.body())
    }

    /// Has the lead handed over. The answer, how the pod is, comes when that is done or has failed; one that takes longer than orders
    /// do goes on, and its agent reports it.
    pub async fn hand_over(
        &self,
        to: &Address,
        order: &HandoverOrder,
    ) -> Result<AgentStatus, AgentError> {
        self.order(to, "/v1/handover", order).await
    }

    /// Waits for a report of another revision than this one, and returns the revision of that. `None`: there was none for as
    /// long as the agent waits.
    pub async fn change(
        &self,
        to: &Address,
        after: &Revision,
    ) -> Result<Option<Revision>, AgentError> {
        let path = format!("/v1/status/after/{}", after.0);
        let asked = Box::pin(self.request(to, Method::GET, &path, Bytes::new()));
        let answer = self.counted(to, CHANGE, asked).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        match Revision::of(&answer) {
            Some(revision) => Ok(Some(revision)),
            None => Err(AgentError::Unreadable {
                pod: to.pod.clone(),
                detail: "it names no revision".to_owned(),
            }),
        }
    }

    async fn counted<T>(
        &self,
        to: &Address,
        deadline: Duration,
        exchange: impl Future<Output = Result<T, AgentError>>,
    ) -> Result<T, AgentError> {
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

    /// One request, and its answer where that is no failure.
    async fn request(
        &self,
        to: &Address,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Bytes>, AgentError> {
        let host = self.names.pod_fqdn(to.component, &to.pod);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| AgentError::unreadable(&to.pod, &error))?;
        let answer = connection::exchange(&self.connector, to, &host, request).await?;
        match answer.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(answer),
            StatusCode::CONFLICT => Err(AgentError::Refused {
                pod: to.pod.clone(),
                refusal: read(to, answer.body())?,
            }),
            other => Err(AgentError::Status {
                pod: to.pod.clone(),
                status: other.as_u16(),
            }),
        }
    }
}

fn read<T: DeserializeOwned>(from: &Address, body: &[u8]) -> Result<T, AgentError> {
    serde_json::from_slice(body).map_err(|error| AgentError::unreadable(&from.pod, &error))
}

#[cfg(test)]
mod tests;
