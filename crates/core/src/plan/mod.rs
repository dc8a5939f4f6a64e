//! From one look at the world to what is to be done: [`plan`].

use crate::observed::Observed;
use crate::protocol::{AclOrder, ConfigOrder, MonitorOrder, TopologyOrder};
use cachebus_api::status::Topology;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this into `status.topology`, by compare-and-swap, before anything that follows from it is done.
    Record(Topology),
    /// Tell a data pod who the primary is to be: it leads if it is the one, else it follows.
    Order {
        /// Data pod that is told.
        pod: String,
        /// What it is told.
        order: TopologyOrder,
    },
    /// Tell a Sentinel what to monitor.
    Monitor {
        /// Sentinel pod that is told.
        pod: String,
        /// What it is told.
        order: MonitorOrder,
    },
    /// Bring live settings of a data pod back to the spec.
    Configure {
        /// Data pod.
        pod: String,
        /// What differs and can be set live.
        order: ConfigOrder,
    },
    /// Bring the live users of a pod back to the contract.
    SetUsers {
        /// Data or Sentinel pod.
        pod: String,
        /// The whole ACL file of its component.
        order: AclOrder,
    },
    /// Set the role label of a data pod, for people.
    Label {
        /// Data pod.
        pod: String,
        /// `primary` or `replica`.
        role: &'static str,
    },
}

/// Why nothing more can be done for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Stable, one word.
    pub reason: &'static str,
    /// For people: what is missing and on what.
    pub message: String,
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub actions: Vec<Action>,
    /// Why the bus does not get further, where it does not.
    pub blocked: Vec<Blocked>,
    /// Whether the world is still moving, so that another look is due in a moment instead of at leisure.
    pub unsettled: bool,
}
