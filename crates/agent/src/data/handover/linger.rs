//! Staying for the clients of a server that is about to be stopped: until it is a good moment to hand its lead over, and then until
//! each has learned from its next write, which is refused, that it has to look for the primary anew.

use crate::data::DataAgent;
use crate::stop::Stop;
use cachebus_core::protocol::Phase;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A node's proxy takes up the first change of any Service at once, and lets a second pass before the next one. With a node that
/// is drained a Sentinel leaves its Service: by then the route to the new primary would have to wait.
const SETTLE: Duration = Duration::from_millis(1_200);
/// Each node's proxy takes up the new route within this time; until then it sends new clients here.
const AT_LEAST: Duration = Duration::from_secs(1);
/// Who has not written by then may as well find the connection ended.
const AT_MOST: Duration = Duration::from_secs(3);
/// Between two counts.
const COUNT: Duration = Duration::from_millis(100);
/// Connections that each Sentinel keeps to a server.
const OF_A_SENTINEL: usize = 2;
/// Those of the agent and of the link to the primary.
const OWN: usize = 2;

impl DataAgent {
    /// Goes on leading until the proxies are ready for a new route, or the pod is to stop without further ado.
    pub(in crate::data) async fn settle(&mut self, stop: &mut Stop) {
        let begun = Instant::now();
        let others = self.site.config.replicas > 0;
        while others && self.phase() == Phase::Leading && begun.elapsed() < SETTLE {
            if !self.goes_on(stop).await {
                return;
            }
        }
    }

    /// Waits until the clients have gone, or do not go, or the pod is to stop without further ado.
    pub(in crate::data) async fn linger(&mut self, stop: &mut Stop) {
        let begun = Instant::now();
        while begun.elapsed() < AT_MOST {
            if begun.elapsed() >= AT_LEAST && !self.has_clients() {
                break;
            }
            if !self.goes_on(stop).await {
                return;
            }
        }
        tracing::info!(waited = ?begun.elapsed(), "the clients have had their time to leave");
    }

    /// Looks a moment later, unless the pod is to stop without further ado.
    async fn goes_on(&mut self, stop: &mut Stop) -> bool {
        tokio::select! {
            () = stop.asked() => return false,
            () = sleep(COUNT) => {}
        }
        self.look_and_note().await;
        self.publish();
        true
    }

    fn has_clients(&self) -> bool {
        let info = self
            .running
            .as_ref()
            .and_then(|running| running.info.as_ref());
        info.is_some_and(|info| clients_left(&info.raw, self.site.config.sentinels.len()))
    }
}

/// Whether more are connected than those who always are.
fn clients_left(info: &BTreeMap<String, String>, sentinels: usize) -> bool {
    let connected = info
        .get("connected_clients")
        .and_then(|count| count.parse::<usize>().ok());
    connected.is_some_and(|count| count > OWN + OF_A_SENTINEL * sentinels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_and_the_bus_itself_are_no_clients() {
        let connected = |count: &str| [("connected_clients".to_owned(), count.to_owned())].into();
        assert!(!clients_left(&connected("8"), 3));
        assert!(clients_left(&connected("9"), 3));
        assert!(!clients_left(&BTreeMap::new(), 3));
    }
}
