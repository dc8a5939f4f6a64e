//! Which servers lead, asked of each of them all the time.
//!
//! From this machine straight to the pods' addresses: no Service, no API server and no other pod is in the way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_e2e::history::{Answer, Clock, Micros, Probe, Seen, contract};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::access::Access;
use crate::bus::Bus;
use crate::nodes::{self, Node, OPERATOR, Place};

/// Between two questions to a server.
const PAUSE: Duration = Duration::from_millis(15);

/// The same while there is no connection: looking for a pod costs the API server something.
const AWAY: Duration = Duration::from_millis(50);

/// Time for a connection, and for an answer.
const LIMIT: Duration = Duration::from_millis(500);

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// By a write.
    Write,
    /// By `ROLE`.
    Role,
}

/// Asks until it is dropped.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    clock: Clock,
    _tasks: JoinSet<()>,
}

impl Watch {
    /// Tries writes on every server of a bus that has granted them, see [`crate::load::granted`].
    pub fn writes(bus: &Bus) -> Self {
        Self::start(bus, Question::Write)
    }

    /// Asks every server for its role. A bus whose Secrets are not there yet is asked once they are.
    pub fn roles(bus: &Bus) -> Self {
        Self::start(bus, Question::Role)
    }

    fn start(bus: &Bus, question: Question) -> Self {
        let seen = Arc::default();
        let clock = Clock::start();
        let mut tasks = JoinSet::new();
        for place in bus.data_places() {
            let server = Server {
                bus: bus.clone(),
                place,
                question,
                access: None,
                address: None,
                session: None,
            };
            tasks.spawn(server.keep_asking(clock, Arc::clone(&seen)));
        }
        Self {
            seen,
            clock,
            _tasks: tasks,
        }
    }

    /// The time, by the clock of what is seen.
    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}

/// Fails where two servers led at the same time.
pub fn never_two(seen: &Seen) -> anyhow::Result<()> {
    let both = seen.two_at_once();
    ensure!(both.is_zero(), "two led for {both:?}: {seen}");
    Ok(())
}

/// A server that is asked, and what is known of it.
struct Server {
    bus: Bus,
    place: Place,
    question: Question,
    access: Option<Access>,
    address: Option<String>,
    session: Option<Node>,
}

impl Server {
    async fn keep_asking(mut self, clock: Clock, seen: Arc<Mutex<Seen>>) {
        loop {
            let started = clock.now();
            let answer = match self.ask().await {
                Ok(answer) => answer,
                Err(error) => refusal(&error),
            };
            let probe = Probe {
                node: self.place.pod.clone(),
                started,
                ended: clock.now(),
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
        let answer = match self.question {
            Question::Write => {
                let key = format!("{}:{}", contract::PROBES, self.place.pod);
                let written = node.call::<()>(&["SET", &key, "1", "EX", "60"]).await;
                written.map(|()| Answer::Leads)
            }
            Question::Role => node.role().await.map(|role| match role.as_str() {
                "master" => Answer::Leads,
                _ => Answer::Follows,
            }),
        };
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
        let user = match self.question {
            Question::Write => contract::SERVICE,
            Question::Role => OPERATOR,
        };
        let opening = async {
            let stream = nodes::to_address(&address, access, place).await?;
            Node::over(stream, access, place, user, LIMIT).await
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
