//! The agent of a data pod.

mod act;
mod farewell;
mod fence;
mod flush;
mod handover;
mod keyspaces;
mod led;
mod library;
mod look;
mod orders;
mod report;
mod running;
mod settings;
mod spoilt;
mod start;
mod streams;

use crate::error::AgentError;
use crate::order::{self, Request};
use crate::serving::Serving;
use crate::site::Site;
use crate::snapshot::Snapshot;
use crate::stop::Stop;
use crate::supervisor::Supervisor;
use crate::users::Users;
use crate::volume::Volume;
use cachebus_core::fence::LEISURE_MS;
use cachebus_core::protocol::{HandoverReport, Phase};
use cachebus_core::seal::{NEVER_PROMOTE, saved};
use running::Running;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Between looks at a server on which something is still under way.
const UNSETTLED: Duration = Duration::from_millis(200);
/// Between looks at a settled one.
const SETTLED: Duration = Duration::from_millis(LEISURE_MS);

/// The agent of a data pod: all that it knows, and its one loop.
#[derive(Debug)]
pub(crate) struct DataAgent {
    site: Site,
    serving: Serving,
    volume: Volume,
    users: Users,
    supervisor: Supervisor,
    /// What is known of the server while it runs.
    running: Option<Running>,
    /// Kept from starting: Sentinels name this pod, and its dataset is gone.
    holding: bool,
    /// Sentinels are asked when this has passed.
    ask_at: Instant,
    /// The first start is done: loaded, or held.
    started: bool,
    stopping: bool,
    /// The last handover of the lead that was begun.
    handover: Option<HandoverReport>,
    snapshots: watch::Sender<Option<Snapshot>>,
}

impl DataAgent {
    pub(crate) fn new(
        site: Site,
        serving: Serving,
        snapshots: watch::Sender<Option<Snapshot>>,
    ) -> Result<Self, AgentError> {
        Ok(Self {
            volume: Volume::open(&site.layout.data_dir)?,
            users: Users::open(site.acl_file())?,
            supervisor: Supervisor::new(),
            running: None,
            holding: false,
            ask_at: Instant::now(),
            started: false,
            stopping: false,
            handover: None,
            site,
            serving,
            snapshots,
        })
    }

    /// Runs until asked to stop, or until the server cannot be kept running.
    pub(crate) async fn run(
        mut self,
        mut orders: mpsc::Receiver<Request>,
        mut stop: Stop,
    ) -> Result<(), AgentError> {
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.asked() => return self.stop(&mut stop, &mut orders).await,
                ended = self.supervisor.ended() => {
                    let led = self.led();
                    self.running = None;
                    let ended = self.supervisor.has_ended(ended?).await;
                    if let Some(led) = led {
                        self.hand_over_after_crash(led, &mut orders).await;
                    }
                    ended?;
                }
                Some(request) = order::next(&mut orders) => self.answer(request, &mut orders).await,
                () = time_to_look(look_at, self.running.as_mut()) => {
                    self.look().await?;
                    look_at = Instant::now() + if self.is_settled() { SETTLED } else { UNSETTLED };
                }
            }
            self.supervisor.reap_strangers();
            self.publish();
        }
    }

    async fn stop(
        mut self,
        stop: &mut Stop,
        orders: &mut mpsc::Receiver<Request>,
    ) -> Result<(), AgentError> {
        self.stopping = true;
        self.publish();
        if let Phase::Following(_) = self.phase() {
            // No candidate any more, for agents and Sentinels alike; the next start sets it anew.
            if let Err(error) = self.set_priority(NEVER_PROMOTE).await {
                self.note(&error);
            }
        }
        self.settle(stop).await;
        if self.hand_over_before_stop(orders).await {
            self.linger(stop).await;
        }
        let will_save = self.running.as_ref().is_some_and(Running::will_save);
        let code = self.supervisor.stop(stop).await?;
        match self.volume.marker().map(saved) {
            Some(marker) if will_save && code == Some(0) => self.volume.mark(marker).await,
            _ => Ok(()),
        }
    }
}

/// Returns at this time, or earlier where the connection to the server has ended.
async fn time_to_look(at: Instant, running: Option<&mut Running>) {
    match running {
        Some(running) => tokio::select! {
            () = sleep_until(at) => {}
            () = running.connection_lost() => {}
        },
        None => sleep_until(at).await,
    }
}

#[cfg(test)]
mod tests;
