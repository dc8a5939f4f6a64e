//! The pods of the bus `b`: agents that obey, each at an address of its own on the loopback network.

use super::{Api, World, bus_of};
use cachebus_core::acl::digest;
use cachebus_core::bus::Bus;
use cachebus_core::config;
use cachebus_core::names::{API_PORT, Component};
use cachebus_core::protocol::{
    AgentStatus, DataStatus, EngineReport, FedReplica, HandoverCause, HandoverOrder,
    HandoverOutcome, HandoverReport, Marker, MonitorOrder, Monitored, NodeStatus, Phase, Refusal,
    ReplicationStatus, SentinelStatus, TopologyOrder,
};
use k8s_openapi::api::core::v1::Secret;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

const DATA: [&str; 3] = ["b-redis-0", "b-redis-1", "b-redis-2"];
const SENTINELS: [&str; 3] = ["b-sentinel-0", "b-sentinel-1", "b-sentinel-2"];

/// What the pods have been told.
struct State {
    bus: Bus,
    acl: BTreeMap<Component, String>,
    expires: Option<i64>,
    following: BTreeMap<String, (String, u64)>,
    monitoring: BTreeMap<String, MonitorOrder>,
    config_epoch: u64,
    /// Orders to lead, with the topology that was on record at that moment.
    leads: Vec<(String, Value)>,
    /// Orders to hand over, likewise.
    handovers: Vec<(HandoverOrder, Value)>,
    /// What the last one came to, by the pod that it was for.
    handed_over: BTreeMap<String, HandoverReport>,
    /// Why none is carried out.
    refusal: Option<Refusal>,
}

/// What is known of the requests that agents hold.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Held now, each with the pod and the revision that is known there.
    pub now: Vec<(&'static str, String)>,
    /// Those that ended without news.
    pub without_news: usize,
}

/// Networks taken: pods of tests that run side by side have addresses of their own.
static NETWORKS: AtomicU8 = AtomicU8::new(1);

/// The pods of the bus `b`.
#[derive(Clone)]
pub struct Pods {
    state: Arc<Mutex<State>>,
    /// Anything changed.
    changes: watch::Sender<()>,
    held: watch::Sender<Held>,
    /// How long a request is held.
    hold: Duration,
}

impl Pods {
    /// Starts the pods of a world whose Secrets exist.
    pub async fn start(world: &World) -> Self {
        Self::start_holding(world, Duration::from_mins(1)).await
    }

    /// The same, of agents that hold requests for so long.
    pub async fn start_holding(world: &World, hold: Duration) -> Self {
        let net = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let secret = |name| -> BTreeMap<String, String> {
            let secret: Secret =
                serde_json::from_value(world.api.get("secrets", name).unwrap()).unwrap();
            let data = secret.data.unwrap().into_iter();
            data.map(|(key, value)| (key, String::from_utf8(value.0).unwrap()))
                .collect()
        };
        let (acl, tls) = (secret("b-acl"), secret("b-tls"));
        let state = Arc::new(Mutex::new(State {
            bus: bus_of(&world.api),
            acl: [
                (Component::Redis, "redis.acl"),
                (Component::Sentinel, "sentinel.acl"),
            ]
            .map(|(component, file)| (component, digest(&acl[file])))
            .into(),
            expires: crate::pki::expiry(&tls["tls.crt"]),
            following: BTreeMap::new(),
            monitoring: BTreeMap::new(),
            config_epoch: 0,
            leads: Vec::new(),
            handovers: Vec::new(),
            handed_over: BTreeMap::new(),
            refusal: None,
        }));
        let pods = Self {
            state,
            changes: watch::Sender::new(()),
            held: watch::Sender::default(),
            hold,
        };
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(tls["tls.crt"].as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(tls["tls.key"].as_bytes()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        for (number, name) in (1..).zip(DATA.into_iter().chain(SENTINELS)) {
            let ip = Ipv4Addr::new(127, 77, net, number);
            let listener = TcpListener::bind((ip, API_PORT)).await.unwrap();
            let path = format!("/api/v1/namespaces/data/pods/{name}");
            world.api.put(&path, pod(name, ip));
            tokio::spawn(
                pods.clone()
                    .serve(name, listener, acceptor.clone(), world.api.clone()),
            );
        }
        pods
    }

    /// Orders to lead, each with the topology that was on record when it came.
    pub fn leads(&self) -> Vec<(String, Value)> {
        self.state.lock().unwrap().leads.clone()
    }

    /// Orders to hand over, each with the topology that was on record when it came.
    pub fn handovers(&self) -> Vec<(HandoverOrder, Value)> {
        self.state.lock().unwrap().handovers.clone()
    }

    /// Every agent refuses to hand over from now on.
    pub fn refuse_handovers(&self, reason: &str) {
        self.state.lock().unwrap().refusal = Some(Refusal {
            reason: reason.to_owned(),
            message: "as the test has it".to_owned(),
        });
    }

    /// Sentinels move the primary; the one before goes on leading for now, as it does when a person tells a Sentinel to.
    pub fn fail_over(&self, to: &str) {
        self.state.lock().unwrap().promote(to);
        self.changes.send_replace(());
    }

    /// Returns when every agent holds a request of one who knows all that it would say.
    pub async fn all_held(&self) {
        self.held_where(|held| {
            let state = self.state.lock().unwrap();
            DATA.into_iter().chain(SENTINELS).all(|pod| {
                let current = (pod, state.status(pod).revision());
                held.now.contains(&current)
            })
        })
        .await;
    }

    /// Returns when every agent holds a request but that of this pod.
    pub async fn held_but(&self, pod: &str) {
        self.held_where(|held| {
            let mut all = DATA.into_iter().chain(SENTINELS);
            all.all(|other| held.now.iter().any(|(name, _)| *name == other) == (other != pod))
        })
        .await;
    }

    /// Returns when no agent holds a request.
    pub async fn none_held(&self) {
        self.held_where(|held| held.now.is_empty()).await;
    }

    /// Returns when so many requests have been held and ended without news.
    pub async fn without_news(&self, times: usize) {
        self.held_where(|held| held.without_news >= times).await;
    }

    async fn held_where(&self, fits: impl FnMut(&Held) -> bool) {
        let mut held = self.held.subscribe();
        let fits = timeout(Duration::from_secs(20), held.wait_for(fits)).await;
        assert!(fits.is_ok(), "{:?}", self.held.borrow());
    }

    /// Sentinels have moved the primary, and every pod follows.
    pub fn failed_over(&self, to: &str) {
        self.state.lock().unwrap().move_all(to);
        self.changes.send_replace(());
    }

    async fn serve(
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

impl State {
    /// Sentinels name another primary, and only that one knows.
    fn promote(&mut self, to: &str) {
        self.config_epoch += 1;
        let epoch = self.following[to].1 + 1;
        self.following.insert(to.to_owned(), (to.to_owned(), epoch));
        for order in self.monitoring.values_mut() {
            to.clone_into(&mut order.primary);
        }
    }

    /// Sentinels name another primary, and everybody follows it.
    fn move_all(&mut self, to: &str) {
        self.config_epoch += 1;
        for (primary, epoch) in self.following.values_mut() {
            to.clone_into(primary);
            *epoch += 1;
        }
        for order in self.monitoring.values_mut() {
            to.clone_into(&mut order.primary);
        }
    }

    fn hand_over(&mut self, from: &str, to: Option<String>) {
        let to = to.unwrap_or_else(|| {
            let mut others = DATA.into_iter().filter(|pod| *pod != from);
            others.next().unwrap().to_owned()
        });
        self.move_all(&to);
        let before = self.handed_over.get(from);
        let report = HandoverReport {
            number: before.map_or(1, |report| report.number + 1),
            cause: HandoverCause::Ordered,
            to: Some(to),
            outcome: HandoverOutcome::Done { write_gap_ms: 50 },
        };
        self.handed_over.insert(from.to_owned(), report);
    }

    fn status(&self, name: &str) -> AgentStatus {
        let sentinel = SENTINELS.contains(&name);
        let component = if sentinel {
            Component::Sentinel
        } else {
            Component::Redis
        };
        AgentStatus {
            pod: name.to_owned(),
            uid: self.bus.uid.clone(),
            agent_version: "test".to_owned(),
            engine: Some(EngineReport {
                kind: self.bus.engine.kind,
                version: "8.0.99".to_owned(),
            }),
            crashes: 0,
            acl_digest: Some(self.acl[&component].clone()),
            certificate_expires: self.expires,
            node: if sentinel {
                NodeStatus::Sentinel(self.sentinel(name))
            } else {
                NodeStatus::Redis(Box::new(self.data(name)))
            },
        }
    }

    fn data(&self, name: &str) -> DataStatus {
        let told = self.following.get(name);
        let phase = match told {
            None => Phase::Sealed,
            Some((primary, _)) if primary == name => Phase::Leading,
            Some((primary, _)) => Phase::Following(primary.clone()),
        };
        let fed = DATA
            .iter()
            .filter(|pod| **pod != name && self.following.contains_key(**pod));
        let replicas = fed.map(|pod| FedReplica {
            host: self.host(pod),
            online: true,
            lag: 0,
        });
        DataStatus {
            replication: Some(ReplicationStatus {
                link_up: matches!(phase, Phase::Following(_)),
                replicas: if phase == Phase::Leading {
                    replicas.collect()
                } else {
                    Vec::new()
                },
                ..ReplicationStatus::default()
            }),
            phase,
            handover: self.handed_over.get(name).cloned(),
            fenced: None,
            electorate: u32::try_from(SENTINELS.len()).ok(),
            marker: told.map(|(primary, epoch)| Marker {
                uid: self.bus.uid.clone(),
                primary: primary.clone(),
                epoch: *epoch,
                complete: true,
                aof: Some(true),
                fence: *epoch,
            }),
            keys: Some(0),
            dataset: false,
            config: config::settings(&self.bus),
        }
    }

    fn sentinel(&self, name: &str) -> SentinelStatus {
        let monitored = self.monitoring.get(name).map(|order| Monitored {
            host: self.host(&order.primary),
            port: self.bus.spec.port,
            config_epoch: self.config_epoch,
            quorum: order.quorum,
            settings: order.settings.clone(),
            down: false,
            failing_over: false,
            promoting: false,
            replicas: hosts(self, &DATA, &order.primary),
            peers: hosts(self, &SENTINELS, name),
            known: Vec::new(),
        });
        SentinelStatus {
            up: true,
            run_id: Some(format!("id-of-{name}")),
            monitored,
        }
    }

    fn host(&self, pod: &str) -> String {
        let component = if DATA.contains(&pod) {
            Component::Redis
        } else {
            Component::Sentinel
        };
        self.bus.names.pod_fqdn(component, pod)
    }
}

fn hosts(state: &State, pods: &[&str], but: &str) -> Vec<String> {
    let others = pods.iter().filter(|pod| **pod != but);
    others.map(|pod| state.host(pod)).collect()
}

fn pod(name: &str, ip: Ipv4Addr) -> Value {
    let component = if DATA.contains(&name) {
        "redis"
    } else {
        "sentinel"
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "data", "labels": {
            "app.kubernetes.io/managed-by": "cachebus", "app.kubernetes.io/component": component, "cachebus.dev/bus": "b",
        }},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]},
    })
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
