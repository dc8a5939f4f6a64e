//! The agent of a Sentinel pod.

mod forget;
mod look;
mod monitor;
mod monitored;
mod report;
mod start;
mod switches;

use crate::error::AgentError;
use crate::order::{self, Order, Outcome, Request, misdirected};
use crate::serving::{Certificate, Serving};
use crate::site::Site;
use crate::snapshot::Snapshot;
use crate::stop::Stop;
use crate::supervisor::Supervisor;
use crate::trouble::Trouble;
use crate::users::Users;
use cachebus_admin::Sentinel;
use cachebus_core::names::Component;
use cachebus_core::protocol::{Monitored, Refusal};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use switches::Switches;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Between looks at a Sentinel that does not answer yet.
const UNSETTLED: Duration = Duration::from_millis(200);
/// Between looks at one that does.
const SETTLED: Duration = Duration::from_secs(1);

/// For how long one that is to end answers on. The data pod of a node that is drained hands its lead over meanwhile, and its clients
/// ask the Sentinels whose names they know, each of which they wait for.
const STAY: Duration = Duration::from_secs(3);

/// The agent of a Sentinel pod: all that it knows, and its one loop.
#[derive(Debug)]
pub(crate) struct SentinelAgent {
    site: Site,
    serving: Serving,
    users: Users,
    supervisor: Supervisor,
    running: Option<Running>,
    stopping: bool,
    snapshots: watch::Sender<Option<Snapshot>>,
}

/// What is known of a running Sentinel.
#[derive(Debug)]
struct Running {
    connection: Option<Sentinel>,
    /// `None` until it answers.
    switches: Option<Switches>,
    /// When it last showed a sign of life, or was started.
    answered: Instant,
    /// When it last told how it is, or was started.
    told: Instant,
    /// It told how it is a moment ago.
    up: bool,
    trouble: Trouble,
    run_id: Option<String>,
    monitored: Option<Monitored>,
    /// The Sentinel has the password of the data nodes; without it, it would hold its primary for down.
    introduced: bool,
    info: Arc<BTreeMap<String, String>>,
    /// It reads its certificate when it starts, and never again.
    certificate: Certificate,
    /// Fingerprint of the one that it showed at the last connection.
    served: Option<String>,
    /// Users are compared with what they shall be when this has passed.
    compare_at: Instant,
}

impl SentinelAgent {
    pub(crate) fn new(
        site: Site,
        serving: Serving,
        snapshots: watch::Sender<Option<Snapshot>>,
    ) -> Result<Self, AgentError> {
        Ok(Self {
            users: Users::open(site.acl_file())?,
            supervisor: Supervisor::new(),
            running: None,
            stopping: false,
            site,
            serving,
            snapshots,
        })
    }

    /// Runs until asked to stop, or until the Sentinel cannot be kept running.
    pub(crate) async fn run(
        mut self,
        mut orders: mpsc::Receiver<Request>,
        mut stop: Stop,
    ) -> Result<(), AgentError> {
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.asked() => return self.stop(&mut stop).await,
                ended = self.supervisor.ended() => {
                    self.running = None;
                    self.supervisor.has_ended(ended?).await?;
                }
                Some(request) = order::next(&mut orders) => {
                    let outcome = self.obey(request.order).await;
                    // Whoever asked may have gone meanwhile; the order was carried out all the same.
                    let _ = request.reply.send(outcome);
                }
                () = time_to_look(look_at, self.running.as_ref()) => {
                    self.look().await?;
                    look_at = Instant::now() + if self.is_settled() { SETTLED } else { UNSETTLED };
                }
            }
            self.supervisor.reap_strangers();
            self.publish();
        }
    }

    async fn stop(mut self, stop: &mut Stop) -> Result<(), AgentError> {
        self.stopping = true;
        self.publish();
        self.stay(stop).await;
        self.supervisor.stop(stop).await.map(drop)
    }

    /// Returns when the time has passed for which it answers on, or it is asked once more to end, or has nothing to tell.
    async fn stay(&mut self, stop: &mut Stop) {
        let until = Instant::now() + STAY;
        while self.names_a_primary() && Instant::now() < until {
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(UNSETTLED) => {}
            }
            self.look_at_sentinel().await;
            self.publish();
        }
    }

    fn names_a_primary(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| running.up && running.monitored.is_some())
    }

    async fn obey(&mut self, order: Order) -> Outcome {
        match order {
            Order::Monitor(order) => self.obey_monitor(&order).await?,
            Order::Retire(order) => self.obey_retire(&order).await?,
            Order::Acl(order) => self
                .users
                .want(order.text)
                .map_err(|error| Refusal::new(error.reason(), error.to_string()))?,
            Order::Topology(_) | Order::Handover(_) | Order::Config(_) | Order::Flush(_) => {
                return Err(misdirected(Component::Sentinel));
            }
        }
        self.look_at_sentinel().await;
        Ok(self.status())
    }

    fn is_settled(&self) -> bool {
        self.users.tried() && self.running.as_ref().is_some_and(|running| running.up)
    }
}

/// Returns at this time, or earlier where the Sentinel has told of a switch.
async fn time_to_look(at: Instant, running: Option<&Running>) {
    match running.and_then(|running| running.switches.as_ref()) {
        Some(switches) => tokio::select! {
            () = sleep_until(at) => {}
            () = switches.heard() => {}
        },
        None => sleep_until(at).await,
    }
}
