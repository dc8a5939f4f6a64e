//! What a data pod notes beside its data: always what its files are known to hold, never more.

use super::{Opinion, Question, heard};
use crate::names::Names;
use crate::protocol::{AgentConfig, Marker, TopologyOrder};

/// What a running server shows of itself. A held, sealed or loading one changes no marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting<'a> {
    /// What it is.
    pub role: Role<'a>,
    /// An append-only file rewrite is running or scheduled.
    pub rewriting: bool,
    /// It keeps an append-only file.
    pub aof: bool,
}

/// What a running server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role<'a> {
    /// The primary.
    Leading,
    /// A replica.
    Following {
        /// Announced host, or pod, that it follows.
        primary: &'a str,
        /// `master_link_status` is up.
        link_up: bool,
        /// `master_sync_in_progress`: a full synchronisation.
        syncing: bool,
    },
}

/// The marker after a sighting, which must be newer than the last order carried out. Write it where it differs.
#[must_use]
pub fn next_marker(question: &Question<'_>, seen: &Sighting<'_>) -> Option<Marker> {
    let config = question.config;
    let names = Names::new(&config.bus, &config.namespace, &config.domain);
    let (primary, in_sync, syncing) = match seen.role {
        Role::Leading => (Some(question.pod.to_owned()), true, false),
        Role::Following {
            primary,
            link_up,
            syncing,
        } => (names.data_pod_of_host(primary), link_up, syncing),
    };
    let Some(primary) = primary else {
        return question.marker.cloned();
    };
    let mut marker = taken_up(config, question.marker, &primary);
    if !in_sync {
        if syncing {
            marker.complete = false;
            return Some(marker);
        }
        return question.marker.cloned();
    }
    let moved = marker.primary != primary || marker.epoch == 0;
    // A full synchronisation too short to be seen also ends in a rewrite. A routine one takes nothing from a primary.
    let replaced = moved && seen.role != Role::Leading;
    if seen.rewriting && (replaced || !marker.complete) {
        marker.complete = false;
        return Some(marker);
    }
    let config_epoch = match heard(question) {
        Opinion::Majority { pod, config_epoch } if pod == primary => config_epoch,
        Opinion::Majority { .. } | Opinion::Moving { .. } | Opinion::None => 0,
    };
    let counted = if moved {
        // A primary that Sentinels made counts on from the last order too. A replica cannot tell whether they moved it or
        // the order did; the operator tells it where that matters.
        let known = match seen.role {
            Role::Leading => marker.epoch.max(marker.fence),
            Role::Following { .. } => marker.epoch,
        };
        (known + 1).max(config_epoch)
    } else if seen.role == Role::Leading {
        // It led before they named it, and was never told how far the epoch of the one before had come.
        marker.epoch.max(config_epoch)
    } else {
        marker.epoch
    };
    marker.epoch = counted.max(marker.fence);
    marker.primary = primary;
    // One that was switched on holds nothing until it has been written for the first time.
    let in_aof = seen.aof && !(seen.rewriting && marker.aof == Some(false));
    marker.complete = in_aof;
    marker.aof = Some(in_aof);
    Some(marker)
}

/// The marker after a shutdown that wrote a snapshot of a whole copy, where there is no append-only file.
#[must_use]
pub fn saved(marker: &Marker) -> Marker {
    Marker {
        complete: true,
        aof: Some(false),
        ..marker.clone()
    }
}

/// The marker to write before an accepted order is carried out, so that no older order is obeyed after a crash.
///
/// `rewriting` and `aof` as in [`Sighting`].
#[must_use]
pub fn obeyed(
    order: &TopologyOrder,
    question: &Question<'_>,
    rewriting: bool,
    aof: bool,
) -> Marker {
    let mut marker = taken_up(question.config, question.marker, &order.primary);
    marker.fence = order.epoch;
    let files_follow_memory = marker.complete || !rewriting;
    if order.primary == question.pod && files_follow_memory {
        marker.primary.clone_from(&order.primary);
        marker.epoch = order.epoch;
        marker.complete = aof;
        marker.aof = Some(aof);
    }
    marker
}

/// This bus's marker: the one there is, or the first one, over data of which nothing is known.
fn taken_up(config: &AgentConfig, marker: Option<&Marker>, primary: &str) -> Marker {
    match marker {
        Some(marker) if marker.uid == config.uid => marker.clone(),
        Some(_) | None => Marker {
            uid: config.uid.clone(),
            primary: primary.to_owned(),
            epoch: 0,
            complete: false,
            aof: marker.and_then(|marker| marker.aof),
            fence: 0,
        },
    }
}
