//! The pods of the bus `b`: agents that obey, each at an address of its own on the loopback network.

mod moves;
mod serve;

use super::{World, bus_of};
use cachebus_core::acl::digest;
use cachebus_core::bus::Bus;
use cachebus_core::config;
use cachebus_core::names::{API_PORT, Component};
use cachebus_core::protocol::{
    AgentStatus, DataStatus, EngineReport, FedReplica, FlushOrder, FlushOutcome, FlushReport,
    FlushStatus, HandoverOrder, HandoverReport, Marker, MonitorOrder, Monitored, NodeStatus, Phase,
    Refusal, ReplicationStatus, SentinelStatus,
};
use k8s_openapi::api::core::v1::Secret;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
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
    certificate: Option<String>,
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
    /// Orders to empty keyspaces, with the whole object that was on record at that moment.
    flushes: Vec<(FlushOrder, Value)>,
    /// What the last one came to, by the pod that it was for.
    flushed: BTreeMap<String, FlushReport>,
    /// What the next ones come to.
    flush_outcome: FlushOutcome,
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
            certificate: crate::pki::fingerprint(&tls["tls.crt"]),
            following: BTreeMap::new(),
            monitoring: BTreeMap::new(),
            config_epoch: 0,
            leads: Vec::new(),
            handovers: Vec::new(),
            handed_over: BTreeMap::new(),
            refusal: None,
            flushes: Vec::new(),
            flushed: BTreeMap::new(),
            flush_outcome: FlushOutcome::Done { removed: 7 },
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

    /// Orders to empty keyspaces, each with the object that was on record when it came.
    pub fn flushes(&self) -> Vec<(FlushOrder, Value)> {
        self.state.lock().unwrap().flushes.clone()
    }

    /// What comes of orders to empty keyspaces from now on, those that were given included.
    pub fn flushes_end_as(&self, outcome: FlushOutcome) {
        let mut state = self.state.lock().unwrap();
        for report in state.flushed.values_mut() {
            report.outcome = outcome.clone();
        }
        state.flush_outcome = outcome;
        drop(state);
        self.changes.send_replace(());
    }

    /// Every agent is restarted, and remembers no order to empty keyspaces.
    pub fn forget_flushes(&self) {
        self.state.lock().unwrap().flushed.clear();
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
}

impl State {
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
            certificate: self.certificate.clone(),
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
            flush: (phase == Phase::Leading).then(|| FlushStatus {
                last: self.flushed.get(name).cloned(),
            }),
            phase,
            handover: self.handed_over.get(name).cloned(),
            fenced: None,
            electorate: u32::try_from(SENTINELS.len()).ok(),
            set_aside: false,
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
            refused_settings: BTreeMap::new(),
            library: None,
            consumers: None,
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
