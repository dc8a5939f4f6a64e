//! Whether the compiled users fit into the Secret that holds them.

use super::violation as violation_of;
use crate::acl::sizes;
use crate::bus::{Bus, Violation};

/// Most bytes of the users' lines on the data nodes. A Secret takes 1 MiB of data; the rest is for the Sentinels' file.
const MOST: usize = 900_000;

/// Many keyspaces below one another, times many services, spell out many patterns. Stops where it is too much, so that a
/// monstrous contract does not hold up the other buses.
pub(super) fn violation(bus: &Bus) -> Option<Violation> {
    let mut size = 0;
    let fits = sizes(bus).all(|line| {
        size += line;
        size <= MOST
    });
    (!fits).then(|| {
        violation_of(
            "spec.services",
            "ContractTooLarge",
            format!(
                "the rights of the services take more than {MOST} bytes, which no Secret holds: \
                 declare fewer services, or keyspaces that do not begin alike"
            ),
        )
    })
}
