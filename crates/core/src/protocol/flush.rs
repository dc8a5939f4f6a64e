//! Keyspaces that are emptied by the agent of the pod that leads.

use super::Refusal;
use super::unknown::or_unknown;
use serde::{Deserialize, Serialize};

/// Keyspaces to be emptied, for the agent of the pod that leads. To give the same order twice does no harm: while the agent knows of
/// it, nothing is done twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlushOrder {
    /// UID of the bus.
    pub uid: String,
    /// Epoch in which the record has this pod lead; refused where the pod knows of a newer one.
    pub epoch: u64,
    /// Counts the flushes of the bus; refused where the pod knows of a later one.
    pub number: u64,
    /// Templates of the keyspaces that are to be emptied.
    pub keys: Vec<String>,
    /// Templates of all others: a key that belongs to one of them stays.
    pub others: Vec<String>,
}

/// What an agent that can empty keyspaces tells of it while its server leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FlushStatus {
    /// The last flush that it was ordered; `None`: none since the server leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<FlushReport>,
}

/// A flush that an agent was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FlushReport {
    /// Its number.
    pub number: u64,
    /// How it stands. How far it is moves all the time, and is not told.
    #[serde(deserialize_with = "or_unknown")]
    pub outcome: FlushOutcome,
}

/// How a flush stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FlushOutcome {
    /// Under way.
    Running,
    /// The server refuses what it takes; it is tried again at each look.
    Hindered(Refusal),
    /// Every key that was there when it began is gone.
    Done {
        /// Keys that were removed.
        removed: u64,
    },
    /// What this version has no word for.
    Unknown,
}
