//! Which orders to hand the lead over a data pod obeys.

use super::refusal;
use crate::names::Names;
use crate::protocol::{AgentConfig, HandoverOrder, Marker, Refusal};
use crate::seal::refusal::UNKNOWN_POD;
use crate::seal::{for_this_bus, of_this_epoch};

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
    for_this_bus(&order.uid, config)?;
    let names = Names::new(&config.bus, &config.namespace, &config.domain);
    if let Some(to) = &order.to
        && (to == pod || names.data_ordinal(to).is_none())
    {
        let message = format!("{to} is no other data pod of bus {}", config.bus);
        return Err(Refusal::new(UNKNOWN_POD, message));
    }
    of_this_epoch(order.epoch, config, marker)?;
    if !leads {
        return Err(Refusal::new(
            refusal::NOT_LEADING,
            format!("{pod} does not lead"),
        ));
    }
    Ok(())
}
