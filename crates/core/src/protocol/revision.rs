//! What of a report is worth a look at the whole bus.

use super::{AgentStatus, NodeStatus};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// How long an agent holds a request for another revision than the one it has.
pub const HOLD: Duration = Duration::from_secs(25);

/// The directive by which a replica that was silent for more seconds does not count.
const MAX_LAG: &str = "min-replicas-max-lag";

impl AgentStatus {
    /// Tells apart reports that could lead to different decisions. What moves all the time in a bus that is well counts for
    /// nothing: offsets, lags up to the one that the server allows, the order of lists, and how many keys there are, which decides
    /// only while a primary is chosen, when passes follow one another without being asked for. Means something only to the agent
    /// that made it.
    #[must_use]
    pub fn revision(&self) -> String {
        let mut told = self.clone();
        match &mut told.node {
            NodeStatus::Redis(data) => {
                data.keys = None;
                data.dataset = false;
                let allowed = data.config.get(MAX_LAG).and_then(|lag| lag.parse().ok());
                // Of 0 the server allows any.
                let allowed = allowed.filter(|lag| *lag > 0).unwrap_or(u64::MAX);
                if let Some(replication) = &mut data.replication {
                    replication.offset = 0;
                    for replica in &mut replication.replicas {
                        replica.lag = u64::from(replica.lag > allowed);
                    }
                    replication
                        .replicas
                        .sort_by(|one, other| one.host.cmp(&other.host));
                }
            }
            NodeStatus::Sentinel(sentinel) => {
                if let Some(monitored) = &mut sentinel.monitored {
                    monitored.replicas.sort();
                    monitored.peers.sort();
                    monitored.known.sort();
                }
            }
        }
        let mut hasher = DefaultHasher::new();
        told.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}
