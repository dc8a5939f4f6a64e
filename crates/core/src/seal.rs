//! How a data pod may start, which orders it obeys, and what it notes beside its data. All of it pure; the agent carries it
//! out.
//!
//! The rules that no empty or stale copy may break:
//! - a pod leads only when a majority of the configured Sentinels names it, or by an order that they do not contradict;
//! - a copy that is not known to be the named primary's is never a candidate for Sentinels' choice.

mod marker;
mod order;
mod spoilt;
mod votes;

pub use marker::{Role, Sighting, next_marker, obeyed, saved};
pub use order::{Verdict, for_this_bus, judge_order, just_promoted, of_this_epoch, refusal};
pub use spoilt::{Leader, Telling, leader_to_ask, set_aside};
pub use votes::{Opinion, Vote, opinion};

use crate::names::Names;
use crate::protocol::{AgentConfig, Marker};

/// `replica-priority` of a copy that Sentinels must not promote.
pub const NEVER_PROMOTE: u32 = 0;

/// What a data pod knows when it must decide.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The mounted configuration.
    pub config: &'a AgentConfig,
    /// The pod that asks.
    pub pod: &'a str,
    /// One for each configured Sentinel; `None`: it did not answer, or does not know the bus. Asked within the last second.
    pub votes: &'a [Option<Vote>],
    /// What lies beside the data.
    pub marker: Option<&'a Marker>,
    /// Whether there is data: a dataset on disk, or keys in memory.
    pub dataset: bool,
}

/// How the server may start, or go on where it was held or sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// As a replica.
    FollowPrimary {
        /// Data pod to follow.
        pod: String,
        /// `replica-priority` until [`priority`] says another.
        priority: u32,
    },
    /// As the primary.
    Lead,
    /// Not at all, until Sentinels name another or an order comes.
    Hold,
    /// As a replica of a closed port of its own, with `replica-priority` [`NEVER_PROMOTE`].
    Sealed,
}

/// Decides how the server may start.
#[must_use]
pub fn decide(question: &Question<'_>) -> Start {
    match heard(question) {
        Opinion::Majority { pod, .. } if pod == question.pod => {
            if question.dataset && is_newest(question) {
                Start::Lead
            } else {
                Start::Hold
            }
        }
        Opinion::Majority { pod, .. } => Start::FollowPrimary {
            priority: first_priority(question, &pod),
            pod,
        },
        Opinion::Moving { .. } | Opinion::None => Start::Sealed,
    }
}

/// `replica-priority` of a running replica of `primary`.
///
/// `linked`: its link is up, or was up since it began to follow this primary and no full synchronisation has begun since.
#[must_use]
pub fn priority(
    config: &AgentConfig,
    marker: Option<&Marker>,
    dataset: bool,
    primary: &str,
    linked: bool,
) -> u32 {
    let copy_of_primary = dataset
        && marker.is_some_and(|marker| {
            marker.uid == config.uid && marker.complete && marker.primary == primary
        });
    if linked || copy_of_primary {
        config.replica_priority
    } else {
        NEVER_PROMOTE
    }
}

/// Whether no other copy can be newer than what lies on this pod's disk.
fn is_newest(question: &Question<'_>) -> bool {
    own(question).is_some_and(|marker| marker.complete || question.config.replicas == 0)
}

/// What the Sentinels say, taken together.
fn heard(question: &Question<'_>) -> Opinion {
    let config = question.config;
    let names = Names::new(&config.bus, &config.namespace, &config.domain);
    opinion(&names, question.votes)
}

fn first_priority(question: &Question<'_>, primary: &str) -> u32 {
    priority(
        question.config,
        question.marker,
        question.dataset,
        primary,
        false,
    )
}

/// Whether a marker, of this bus or of its predecessor, says that there was data once.
#[must_use]
pub fn vouches(marker: &Marker) -> bool {
    marker.complete || marker.epoch > 0
}

/// The marker, where this bus wrote it. Data under another UID is real, but nothing is known of its epoch.
fn own<'a>(question: &Question<'a>) -> Option<&'a Marker> {
    question
        .marker
        .filter(|marker| marker.uid == question.config.uid)
}
