//! Which servers lead, asked of each of them all the time, by a write: one that hands its lead over says that it is the primary
//! for some time after it has taken its last.
//!
//! From this machine straight to the pods' addresses: no Service, no API server and no other pod is in the way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_e2e::history::{self, Answer, Probe, Seen, contract};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::access::Access;
use crate::bus::Bus;
use crate::nodes::{self, Node, Place};

/// Between two questions to a server.
const PAUSE: Duration = Duration::from_millis(15);

/// The same while there is no connection: looking for a pod costs the API server something.
const AWAY: Duration = Duration::from_millis(50);

/// Time for a connection, and for an answer.
const LIMIT: Duration = Duration::from_millis(500);

/// Asks until it is dropped.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

/// A part of a spec, and besides it what a bus has to grant a watch.
pub fn granted(mut spec: Value) -> Value {
    let prober = json!({"name": contract::PROBER, "cache": {"write": [contract::PROBES]}});
    let key = format!("{}:{{node}}", contract::PROBES);
    let keyspace = json!({"name": contract::PROBES, "key": key, "ttl": "1m"});
    add(&mut spec["services"], prober);
    add(&mut spec["cache"]["keyspaces"], keyspace);
    spec
}

fn add(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        other => *other = json!([item]),
    }
}

impl Watch {
    /// Tries writes on every server of a bus that has [`granted`] them. A bus whose Secrets are not there yet is asked once they are.
    pub fn start(bus: &Bus) -> Self {
        let seen = Arc::default();
        let mut tasks = JoinSet::new();
        for place in bus.data_places() {
            let server = Server {
                bus: bus.clone(),
                place,
                access: None,
                address: None,
                session: None,
            };
            tasks.spawn(server.keep_asking(Arc::clone(&seen)));
        }
        Self {
            seen,
            _tasks: tasks,
        }
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}

/// Fails where two servers led at the same time.
pub fn never_two(seen: &Seen) -> anyhow::Result<()> {
    two_no_longer_than(Duration::ZERO, seen)
}

/// Fails where two servers led at the same time for longer than an unplanned failover may take them: the fencing window.
pub fn two_no_longer_than(window: Duration, seen: &Seen) -> anyhow::Result<()> {
    let both = seen.two_at_once();
    ensure!(both <= window, "two led for {both:?}: {seen}");
    Ok(())
}

/// A server that is asked, and what is known of it.
struct Server {
    bus: Bus,
    place: Place,
    access: Option<Access>,
    address: Option<String>,
    session: Option<Node>,
}

impl Server {
    async fn keep_asking(mut self, seen: Arc<Mutex<Seen>>) {
        loop {
            let started = history::now();
            let answer = match self.ask().await {
                Ok(answer) => answer,
                Err(error) => refusal(&error),
            };
            let probe = Probe {
                node: self.place.pod.clone(),
                started,
                ended: history::now(),
                answer,
            };
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .add(probe);
            let pause = if self.session.is_some() { PAUSE } else { AWAY };
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask(&mut self) -> anyhow::Result<Answer> {
        let node = match self.session.take() {
            Some(node) => node,
            None => self.open().await?,
        };
        let key = format!("{}:{}", contract::PROBES, self.place.pod);
        let written = node.call::<()>(&["SET", &key, "1", "EX", "60"]).await;
        let answer = written.map(|()| Answer::Leads);
        // One that refuses is there, and goes on answering; any other failure needs a new session.
        let refused = |error| refusal(error) != Answer::Silent;
        if answer.as_ref().err().is_none_or(refused) {
            self.session = Some(node);
        }
        answer
    }

    async fn open(&mut self) -> anyhow::Result<Node> {
        let access = match &self.access {
            Some(known) => known,
            None => self.access.insert(self.bus.access().await?),
        };
        // Where the API server does not answer, a pod has the address that it had.
        let namespace = self.bus.names.namespace();
        let asking = nodes::address(&self.bus.client, namespace, &self.place.pod);
        if let Ok(Ok(found)) = timeout(LIMIT, asking).await {
            self.address = Some(found);
        }
        let address = self.address.clone();
        let address = address.with_context(|| format!("{} has no address", self.place.pod))?;
        let place = &self.place;
        let opening = async {
            let stream = nodes::to_address(&address, access, place).await?;
            Node::over(stream, access, place, contract::PROBER, LIMIT).await
        };
        timeout(LIMIT, opening).await?
    }
}

/// What a server that does not take a write says by it.
fn refusal(error: &anyhow::Error) -> Answer {
    let said = format!("{error:#}").to_ascii_uppercase();
    if said.contains("NOREPLICAS") || said.contains("NOT ENOUGH GOOD REPLICAS") {
        Answer::NoReplicas
    } else if said.contains("READONLY") || said.contains("READ ONLY") {
        Answer::Follows
    } else {
        Answer::Silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_their_word() {
        let said = |text: &'static str| refusal(&anyhow::anyhow!(text));
        assert_eq!(
            said("NOREPLICAS: Not enough good replicas"),
            Answer::NoReplicas
        );
        assert_eq!(
            said("An error: ReadOnly - You can't write"),
            Answer::Follows
        );
        assert_eq!(said("no answer within 5 s"), Answer::Silent);
    }
}
