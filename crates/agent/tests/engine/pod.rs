//! One pod: an agent in this process.

use crate::bus::{Bus, free_port};
use crate::http::{self, Answer};
use cachebus_agent::{AgentError, Layout, Stop, Stopper, run_in};
use cachebus_core::names::Component;
use cachebus_core::protocol::{AgentStatus, DataStatus, NodeStatus, Phase};
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Pod<'a> {
    bus: &'a Bus,
    component: Component,
    pub layout: Layout,
    fqdn: String,
    pub stopper: Stopper,
    pub agent: JoinHandle<Result<(), AgentError>>,
}

impl<'a> Pod<'a> {
    pub fn start(bus: &'a Bus, component: Component) -> Self {
        Self::start_nth(bus, component, 0)
    }

    pub fn start_nth(bus: &'a Bus, component: Component, ordinal: u32) -> Self {
        // A second test in this process finds it set up.
        let _ = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_test_writer()
            .try_init();
        let listen = |port| ([127, 0, 0, 1], port).into();
        let layout = Layout {
            data_dir: bus.data_dir_of(component, ordinal),
            run_dir: bus.path(&format!("{component}-run-{ordinal}")),
            config_dir: bus.config_dir(ordinal),
            acl_dir: bus.path("acl"),
            auth_dir: bus.path("auth"),
            tls_dir: bus.path("tls"),
            hosts: bus.path("hosts"),
            http: listen(free_port()),
            api: listen(free_port()),
            server_host: bus.address(component, ordinal),
        };
        let pod = bus.names.pod(component, ordinal);
        let (stopper, stop) = Stop::channel();
        Self {
            fqdn: bus.names.pod_fqdn(component, &pod),
            component,
            agent: tokio::spawn(run_in(component, pod, layout.clone(), stop)),
            bus,
            layout,
            stopper,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        until(|| async { http::get(self.layout.http.port(), path).await.ok() }).await
    }

    /// Asks the operator's port, once the agent has opened it.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        until(|| async {
            let answer = http::request(
                self.layout.api.port(),
                &self.fqdn,
                self.bus.authority.pem(),
                Some(&self.bus.operator),
                (method, path, body),
            )
            .await;
            match answer {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => None,
                answer => Some(answer.unwrap()),
            }
        })
        .await
    }

    pub async fn put(&self, path: &str, order: &impl serde::Serialize) -> Answer {
        let body = serde_json::to_string(order).unwrap();
        self.ask("PUT", path, &body).await
    }

    /// The revision that the agent names beside its report.
    pub async fn revision(&self) -> String {
        let (head, _) = http::whole(
            self.layout.api.port(),
            &self.fqdn,
            self.bus.authority.pem(),
            Some(&self.bus.operator),
            ("GET", "/v1/status", ""),
        )
        .await
        .unwrap();
        let named = head.lines().find_map(|line| line.strip_prefix("etag: "));
        named.unwrap().trim_matches('"').to_owned()
    }

    /// The report, as soon as its revision is another than this one.
    pub async fn status_after(&self, revision: &str) -> AgentStatus {
        let path = format!("/v1/status/after/{revision}");
        let (code, body) = self.ask("GET", &path, "").await;
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The report, once there is one.
    pub async fn status(&self) -> AgentStatus {
        let (code, body) = until(|| async {
            let answer = http::request(
                self.layout.api.port(),
                &self.fqdn,
                self.bus.authority.pem(),
                Some(&self.bus.operator),
                ("GET", "/v1/status", ""),
            );
            answer.await.ok().filter(|(code, _)| *code != 503)
        })
        .await;
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits for a report that fits.
    pub async fn status_with(&self, fits: impl Fn(&AgentStatus) -> bool) -> AgentStatus {
        until(|| async { Some(self.status().await).filter(&fits) }).await
    }

    pub async fn phase(&self, phase: Phase) -> AgentStatus {
        self.status_with(|status| data(status).phase == phase).await
    }

    /// Has the kernel end the server, once all that it was told is in its files: while it still makes safe what came before, such
    /// as the function library, it keeps what follows in memory for a moment.
    pub async fn kill_server(&self) {
        until_is(true, || async {
            let files = self.bus.redis(&["INFO", "persistence"]).await;
            ["aof_buffer_length:", "aof_pending_bio_fsync:"]
                .iter()
                .all(|name| {
                    let mut lines = files.lines();
                    let kept = lines.find_map(|line| line.trim().strip_prefix(name));
                    kept.is_none_or(|kept| kept == "0")
                })
        })
        .await;
        let info = self.bus.redis(&["INFO", "server"]).await;
        let id = info
            .lines()
            .find_map(|line| line.trim().strip_prefix("process_id:"))
            .unwrap();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(id.parse().unwrap()),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
    }

    /// Ends the agent and, with it, the server: neither has time for anything.
    pub async fn crash(self) {
        self.agent.abort();
        assert!(self.agent.await.unwrap_err().is_cancelled());
        until_is(true, || async {
            self.bus.redis(&["PING"]).await.is_empty()
        })
        .await;
    }

    /// Asks it to end, as kubelet does.
    pub async fn terminate(&self) {
        self.stopper.ask().await;
    }

    /// Has it end. One that would stay for others is asked twice.
    pub async fn stop(self) {
        self.terminate().await;
        if self.component == Component::Sentinel {
            self.terminate().await;
        }
        self.agent.await.unwrap().unwrap();
    }
}

pub fn data(status: &AgentStatus) -> &DataStatus {
    match &status.node {
        NodeStatus::Redis(data) => data,
        NodeStatus::Sentinel(_) => panic!("a Sentinel"),
    }
}

/// Tries until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(mut attempt: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "nothing within {PATIENCE:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Tries until a value is the expected one, and shows the last one otherwise.
pub async fn until_is<T: PartialEq + Debug, F: Future<Output = T>>(
    expected: T,
    mut attempt: impl FnMut() -> F,
) {
    let start = Instant::now();
    loop {
        let value = attempt().await;
        if value == expected {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{value:?} is not {expected:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
