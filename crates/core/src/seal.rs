//! How a data pod may start, which orders it obeys, and what it notes beside its data. All of it pure; the agent carries it
//! out.
//!
//! The rules that no empty or stale copy may break:
//! - a pod leads only when a majority of the configured Sentinels names it, or by an order that they do not contradict;
//! - a copy that is not known to be the named primary's is never a candidate for Sentinels' choice.

mod marker;
mod order;

pub use marker::{Role, Sighting, next_marker, obeyed};
pub use order::{Verdict, judge_order, refusal};

use crate::names::Names;
use crate::protocol::{AgentConfig, Marker};
use std::collections::BTreeMap;

/// `replica-priority` of a copy that Sentinels must not promote.
pub const NEVER_PROMOTE: u32 = 0;

/// What one Sentinel said when it was asked for the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Host that it names.
    pub primary_host: String,
    /// Its `config-epoch`.
    pub config_epoch: u64,
}

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
    match majority(question.config, question.votes) {
        Some((named, _)) if named == question.pod => {
            if question.dataset && own(question).is_some_and(|marker| marker.complete) {
                Start::Lead
            } else {
                Start::Hold
            }
        }
        Some((named, _)) => Start::FollowPrimary {
            priority: first_priority(question, &named),
            pod: named,
        },
        None => Start::Sealed,
    }
}

/// The data pod that a majority of the configured Sentinels names, and the highest `config-epoch` among those that name it.
#[must_use]
pub fn majority(config: &AgentConfig, votes: &[Option<Vote>]) -> Option<(String, u64)> {
    let names = Names::new(&config.bus, &config.namespace, &config.domain);
    let mut tally: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for vote in votes.iter().flatten() {
        if let Some(pod) = names.data_pod_of_host(&vote.primary_host) {
            let (count, epoch) = tally.entry(pod).or_default();
            *count += 1;
            *epoch = (*epoch).max(vote.config_epoch);
        }
    }
    tally
        .into_iter()
        .find(|(_, (count, _))| *count > config.sentinels.len() / 2)
        .map(|(pod, (_, epoch))| (pod, epoch))
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

fn first_priority(question: &Question<'_>, primary: &str) -> u32 {
    priority(
        question.config,
        question.marker,
        question.dataset,
        primary,
        false,
    )
}

/// The marker, where this bus wrote it. Data under another UID is real, but nothing is known of its epoch.
fn own<'a>(question: &Question<'a>) -> Option<&'a Marker> {
    question
        .marker
        .filter(|marker| marker.uid == question.config.uid)
}
