//! Hears between passes what changes in the pods: one request for each pod is held by its agent until there is news.
//!
//! News only asks for a pass, by the way on which changes in the cluster ask for one. What it is about, the pass sees for itself.

#[cfg(test)]
mod tests;

use crate::agents::{Address, BusAgents, Revision};
use crate::watches::{Triggers, WatchedBus};
use kube::runtime::reflector::ObjectRef;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// Waits after requests that failed, the first and the longest; each is twice as long as the one before. The passes look at a
/// pod all the while, and one that hears it ends the wait.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Between two requests at least, whatever made an agent say so soon that it has no news.
const PAUSE: Duration = Duration::from_secs(1);

/// The requests that are held by agents, those of each bus that is served.
#[derive(Clone)]
pub struct Polls {
    triggers: Triggers,
    buses: Arc<Mutex<HashMap<ObjectRef<WatchedBus>, Polled>>>,
}

struct Polled {
    agents: Arc<BusAgents>,
    /// By pod.
    pods: HashMap<String, Poll>,
}

/// The poll of one pod, which ends with this value.
struct Poll {
    address: Address,
    /// What a pass last heard from the agent.
    heard: watch::Sender<Revision>,
    task: JoinHandle<()>,
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Polls {
    /// Polls whose news ask for passes by this way.
    pub fn new(triggers: Triggers) -> Self {
        Self {
            triggers,
            buses: Arc::default(),
        }
    }

    /// Polls from now on the pods that a pass over this bus has heard, and no others of it: each for news since then.
    pub fn follow(
        &self,
        bus: &ObjectRef<WatchedBus>,
        agents: &Arc<BusAgents>,
        heard: Vec<(Address, Revision)>,
    ) {
        let mut buses = self.buses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = buses
            .remove(bus)
            .filter(|polled| polled.agents.same_identity(agents))
            .map(|polled| polled.pods)
            .unwrap_or_default();
        let pods = heard.into_iter().map(|(address, revision)| {
            let pod = address.pod.clone();
            let polled = before
                .remove(&pod)
                .filter(|poll| poll.address.socket == address.socket);
            let poll = match polled {
                Some(poll) => {
                    poll.heard.send_replace(revision);
                    poll
                }
                None => self.poll(bus, agents, address, revision),
            };
            (pod, poll)
        });
        let polled = Polled {
            agents: Arc::clone(agents),
            pods: pods.collect(),
        };
        buses.insert(bus.clone(), polled);
    }

    /// Ends the polls of a bus that is not served any more.
    pub fn end(&self, bus: &ObjectRef<WatchedBus>) {
        let mut buses = self.buses.lock().unwrap_or_else(PoisonError::into_inner);
        buses.remove(bus);
    }

    fn poll(
        &self,
        bus: &ObjectRef<WatchedBus>,
        agents: &Arc<BusAgents>,
        address: Address,
        revision: Revision,
    ) -> Poll {
        let (heard, news) = watch::channel(revision);
        let polling = Polling {
            bus: bus.clone(),
            triggers: self.triggers.clone(),
            agents: Arc::clone(agents),
            address: address.clone(),
        };
        Poll {
            address,
            heard,
            task: tokio::spawn(polling.run(news)),
        }
    }
}

struct Polling {
    bus: ObjectRef<WatchedBus>,
    triggers: Triggers,
    agents: Arc<BusAgents>,
    address: Address,
}

impl Polling {
    /// Ends when nobody makes passes any more.
    async fn run(self, mut heard: watch::Receiver<Revision>) {
        let mut failures = 0;
        loop {
            let after = heard.borrow_and_update().clone();
            let asked = Instant::now();
            let answer = self.agents.change(&self.address, &after).await;
            match answer.map(|news| news.filter(|revision| *revision != after)) {
                Ok(None) => {
                    failures = 0;
                    sleep_until(asked + PAUSE).await;
                }
                // A pass has heard of it meanwhile.
                Ok(Some(revision)) if *heard.borrow() == revision => failures = 0,
                Ok(Some(_)) => {
                    failures = 0;
                    self.triggers.request(self.bus.clone());
                    if heard.changed().await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "news cannot be had");
                    let wait = backoff(failures);
                    failures = failures.saturating_add(1);
                    tokio::select! {
                        () = sleep(wait) => {}
                        changed = heard.changed() => if changed.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// The wait after a request that failed, so many others having failed before it in a row.
fn backoff(failures: u32) -> Duration {
    let (first, longest) = BACKOFF;
    first
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(longest)
}
