//! Which orders to hand the lead over a data pod obeys.

use super::{refusal, refuse};
use crate::names::Names;
use crate::protocol::{AgentConfig, HandoverOrder, Marker, Refusal};
use crate::seal::refusal::{FOREIGN_BUS, STALE_EPOCH, UNKNOWN_POD};

/// Judges an order by what the pod knows without asking anybody.
///
/// # Errors
/// The [`Refusal`] to send back, its reason one of [`refusal`] or of [`crate::seal::refusal`].
pub fn judge_order(
    order: &HandoverOrder,
    config: &AgentConfig,
    pod: &str,
    marker: Option<&Marker>,
    leads: bool,
) -> Result<(), Refusal> {
    if order.uid != config.uid {
        let message = format!(
            "the order is for the bus with UID {}, this pod serves {}",
            order.uid, config.uid
        );
        return Err(refuse(FOREIGN_BUS, message));
    }
    let names = Names::new(&config.bus, &config.namespace, &config.domain);
    if let Some(to) = &order.to
        && (to == pod || names.data_ordinal(to).is_none())
    {
        let message = format!("{to} is no other data pod of bus {}", config.bus);
        return Err(refuse(UNKNOWN_POD, message));
    }
    let known = marker
        .filter(|marker| marker.uid == config.uid)
        .map_or(0, |marker| marker.epoch.max(marker.fence));
    if order.epoch < known {
        let message = format!(
            "the order is of epoch {}, this pod knows of epoch {known}",
            order.epoch
        );
        return Err(refuse(STALE_EPOCH, message));
    }
    if !leads {
        return Err(refuse(refusal::NOT_LEADING, format!("{pod} does not lead")));
    }
    Ok(())
}
