//! Which servers take writes, tried on each of them all the time.
//!
//! From this machine straight to the pods' addresses: no Service, no API server and no other pod is in the way.

use std::time::Duration;

use anyhow::Context as _;
use cachebus_e2e::history::{Clock, Probe, contract};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::access::Access;
use crate::bus::Bus;
use crate::nodes::{Bytes, Node, Place, secure};

/// Between two writes to a server.
const PAUSE: Duration = Duration::from_millis(15);

/// The same while there is no connection: looking for a pod costs the API server something.
const AWAY: Duration = Duration::from_millis(50);

/// Time for a connection, and for an answer.
const LIMIT: Duration = Duration::from_millis(500);

/// A watch that is kept until it is stopped.
pub struct Watch {
    stop: watch::Sender<()>,
    tasks: JoinSet<Vec<Probe>>,
}

impl Watch {
    /// Begins to try every server of a bus that has granted it, see [`crate::load::granted`].
    pub fn start(bus: &Bus) -> Self {
        let (stop, stopped) = watch::channel(());
        let clock = Clock::start();
        let mut tasks = JoinSet::new();
        for place in bus.data_places() {
            tasks.spawn(keep(bus.clone(), place, clock, stopped.clone()));
        }
        Self { stop, tasks }
    }

    /// Every write that was tried.
    pub async fn stop(self) -> Vec<Probe> {
        drop(self.stop);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

async fn keep(
    bus: Bus,
    place: Place,
    clock: Clock,
    mut stopped: watch::Receiver<()>,
) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut access = None;
    let mut session = None;
    loop {
        let started = clock.now();
        let taken = write(&bus, &place, &mut access, &mut session).await.is_ok();
        probes.push(Probe {
            node: place.pod.clone(),
            started,
            ended: clock.now(),
            taken,
        });
        let pause = if session.is_some() { PAUSE } else { AWAY };
        if timeout(pause, stopped.changed()).await.is_ok() {
            return probes;
        }
    }
}

async fn write(
    bus: &Bus,
    place: &Place,
    access: &mut Option<Access>,
    session: &mut Option<Node>,
) -> anyhow::Result<()> {
    let access = match access {
        Some(known) => known,
        None => access.insert(bus.access().await?),
    };
    let node = match session.take() {
        Some(node) => node,
        None => timeout(LIMIT, open(bus, place, access)).await??,
    };
    let key = format!("{}:{}", contract::PROBES, place.pod);
    let written = node.call::<()>(&["SET", &key, "1", "EX", "60"]).await;
    // A refusal comes from a server that is there; any other failure needs a new session.
    let refused = |error: &anyhow::Error| {
        let error = error.downcast_ref::<redis::RedisError>();
        error.is_some_and(|error| error.code().is_some())
    };
    if written.as_ref().err().is_none_or(refused) {
        *session = Some(node);
    }
    written
}

async fn open(bus: &Bus, place: &Place, access: &Access) -> anyhow::Result<Node> {
    let pods: Api<Pod> = Api::namespaced(bus.client.clone(), bus.names.namespace());
    let status = pods.get(&place.pod).await?.status;
    let address = status.and_then(|status| status.pod_ip);
    let address = address.with_context(|| format!("{} has no address", place.pod))?;
    let mut stream: Box<dyn Bytes> = Box::new(TcpStream::connect((address, place.port)).await?);
    if place.tls {
        stream = secure(stream, access, place, &access.tls).await?;
    }
    Node::over(stream, access, place, contract::SERVICE, LIMIT).await
}
