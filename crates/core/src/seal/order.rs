//! Which orders a data pod obeys.

use super::{Opinion, Question, first_priority, heard, own, vouches};
use crate::names::Names;
use crate::protocol::{AgentConfig, Marker, Refusal, TopologyOrder};
use std::time::Duration;

/// For how long nobody ends by order a lead that began without one: whoever began it is about to have the Sentinels name it,
/// and orders may rest on what they named before.
const JUST_PROMOTED: Duration = Duration::from_secs(3);

/// Whether whoever made a server lead for this long is about to have the Sentinels name it. `None`: its agent did.
#[must_use]
pub fn just_promoted(promoted: Option<Duration>) -> bool {
    promoted.is_some_and(|since| since < JUST_PROMOTED)
}

/// What an order means for the pod that got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leads.
    Lead,
    /// It follows.
    Follow {
        /// Data pod to follow.
        pod: String,
        /// `replica-priority` until [`super::priority`] says another.
        priority: u32,
    },
}

/// Stable reasons of a [`Refusal`].
pub mod refusal {
    /// The order is for a bus with another UID.
    pub const FOREIGN_BUS: &str = "ForeignBus";
    /// The order names a pod that is none of the bus's data pods.
    pub const UNKNOWN_POD: &str = "UnknownPod";
    /// A newer order was obeyed, or Sentinels moved the primary since.
    pub const STALE_EPOCH: &str = "StaleEpoch";
    /// A majority of Sentinels names another primary.
    pub const SENTINEL_DISAGREES: &str = "SentinelDisagrees";
    /// The pod has no dataset that its marker vouches for, and the order does not allow that.
    pub const NO_DATASET: &str = "NoDataset";
    /// The pod has led for less than three seconds, and not because of an order: Sentinels are about to name it.
    pub const JUST_PROMOTED: &str = "JustPromoted";
    /// The pod is handing its lead over.
    pub const HANDOVER_RUNNING: &str = "HandoverRunning";
}

/// Whether an order is for the bus that a pod serves.
///
/// # Errors
/// The [`Refusal`] to send back.
pub fn for_this_bus(ordered: &str, config: &AgentConfig) -> Result<(), Refusal> {
    if ordered == config.uid {
        return Ok(());
    }
    let message = format!(
        "the order is for the bus with UID {ordered}, this pod serves {}",
        config.uid
    );
    Err(Refusal::new(refusal::FOREIGN_BUS, message))
}

/// Whether an order to a pod that leads is of no older epoch than the pod knows of.
///
/// # Errors
/// The [`Refusal`] to send back.
pub fn of_this_epoch(
    ordered: u64,
    config: &AgentConfig,
    marker: Option<&Marker>,
) -> Result<(), Refusal> {
    let known = marker
        .filter(|marker| marker.uid == config.uid)
        .map_or(0, |marker| marker.epoch.max(marker.fence));
    if ordered >= known {
        return Ok(());
    }
    let message = format!("the order is of epoch {ordered}, this pod knows of epoch {known}");
    Err(Refusal::new(refusal::STALE_EPOCH, message))
}

/// Judges an order against what the pod knows at this moment. The votes must be fresh: an operator may act on a world that
/// Sentinels have moved on from, and this is where that ends. `promoted`: for how long the server has led, where it was made to
/// by others than this agent.
///
/// # Errors
/// The [`Refusal`] to send back, its reason one of [`refusal`].
pub fn judge_order(
    order: &TopologyOrder,
    question: &Question<'_>,
    promoted: Option<Duration>,
) -> Result<Verdict, Refusal> {
    let config = question.config;
    for_this_bus(&order.uid, config)?;
    let names = Names::new(&config.bus, &config.namespace, &config.domain);
    if names.data_pod_of_host(&order.primary).as_deref() != Some(order.primary.as_str()) {
        return Err(Refusal::new(
            refusal::UNKNOWN_POD,
            format!("{} is no data pod of bus {}", order.primary, config.bus),
        ));
    }
    if let Some(marker) = own(question) {
        let newer = order.epoch < marker.epoch.max(marker.fence);
        let other = order.epoch == marker.epoch && order.primary != marker.primary;
        if newer || other {
            return Err(Refusal::new(
                refusal::STALE_EPOCH,
                format!(
                    "the order names {} in epoch {}; this pod's data is of {} in epoch {} and it obeyed epoch {}",
                    order.primary, order.epoch, marker.primary, marker.epoch, marker.fence
                ),
            ));
        }
    }
    if order.primary != question.pod && just_promoted(promoted) {
        return Err(Refusal::new(
            refusal::JUST_PROMOTED,
            format!(
                "{} has just been made the primary; the order names {}",
                question.pod, order.primary
            ),
        ));
    }
    if let Some(named) = contradicting(order, question) {
        return Err(Refusal::new(
            refusal::SENTINEL_DISAGREES,
            format!("Sentinels name {named}, the order names {}", order.primary),
        ));
    }
    if order.primary != question.pod {
        return Ok(Verdict::Follow {
            pod: order.primary.clone(),
            priority: first_priority(question, &order.primary),
        });
    }
    // An engine that finds an empty volume makes files of its own: these alone prove nothing.
    let has_data = question.dataset && question.marker.is_some_and(vouches);
    if has_data || order.allow_empty {
        Ok(Verdict::Lead)
    } else {
        Err(Refusal::new(
            refusal::NO_DATASET,
            format!(
                "{} is to lead but has no dataset that a marker vouches for",
                question.pod
            ),
        ))
    }
}

/// The pod that Sentinels name against an order.
fn contradicting(order: &TopologyOrder, question: &Question<'_>) -> Option<String> {
    let named = match heard(question) {
        Opinion::Majority { pod, .. } | Opinion::Moving { to: pod } => pod,
        Opinion::None => return None,
    };
    (named != order.primary && order.instead_of.as_ref() != Some(&named)).then_some(named)
}
