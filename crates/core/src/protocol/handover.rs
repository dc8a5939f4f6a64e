//! The lead handed from one data pod to another by the agent of the one that has it.

use super::Refusal;
use super::unknown::or_unknown;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest that an agent takes to hand its lead over, by both of its ways one after the other.
pub const HANDOVER: Duration = Duration::from_secs(31);

/// A planned change of the primary, for the agent of the pod that leads to carry out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandoverOrder {
    /// UID of the bus.
    pub uid: String,
    /// Epoch in which the record has this pod lead; refused where the pod knows of a newer one.
    pub epoch: u64,
    /// Data pod that is to lead; `None`: whichever is best in sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A handover that an agent has begun, the last one since it started.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandoverReport {
    /// Counts them since the agent started, from 1.
    pub number: u64,
    /// What began it.
    #[serde(deserialize_with = "or_unknown")]
    pub cause: HandoverCause,
    /// Data pod that was chosen; `None`: none was yet, or none was fit.
    pub to: Option<String>,
    /// How it stands.
    #[serde(deserialize_with = "or_unknown")]
    pub outcome: HandoverOutcome,
}

/// What begins a handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HandoverCause {
    /// An order of the operator.
    Ordered,
    /// The pod is being stopped.
    Stopped,
    /// The server has ended unasked.
    Crashed,
    /// What this version has no word for.
    Unknown,
}

/// How a handover stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HandoverOutcome {
    /// Under way: nobody else may change the topology meanwhile.
    Running,
    /// The other leads, and a majority of Sentinels names it.
    #[serde(rename_all = "camelCase")]
    Done {
        /// From the moment from which no write was taken to the moment in which a majority of Sentinels named the new one,
        /// milliseconds.
        write_gap_ms: u64,
    },
    /// The lead is where it was or, where the message says so, with whom Sentinels will give it to.
    Failed(Refusal),
}
