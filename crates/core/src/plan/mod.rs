//! From one look at the world to what is to be done: [`plan`].
//!
//! Each pass looks anew and does the next step, so any operator may carry on where another stopped. What was decided is in
//! `status.topology` and nowhere else. The order of the steps: record a target, order it to lead, see it lead, record it as
//! primary, let the others follow, tell the Sentinels. See [`topology`] for who decides and [`bootstrap`] for the choice.

mod blocked;
mod bootstrap;
mod configure;
mod labels;
mod orders;
pub(crate) mod rest;
mod routes;
pub(crate) mod sentinels;
mod topology;
pub(crate) mod users;
pub(crate) mod view;
mod votes;

pub use blocked::{Blocked, reason};
pub use rest::asleep;
pub use routes::routes;

use crate::acl::AclFiles;
use crate::bus::Bus;
use crate::observed::Observed;
use crate::protocol::{AclOrder, ConfigOrder, MonitorOrder, Phase, TopologyOrder};
use cachebus_api::status::Topology;
use topology::Course;
use view::View;

/// What the world is compared with besides the spec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The users of each component.
    pub acl: AclFiles,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this into `status.topology`, by compare-and-swap, before anything that follows from it is done.
    Record(Topology),
    /// Tell a data pod who the primary is to be: it leads if it is the one, else it follows. Before one that changes the
    /// topology is sent, [`intended`] must hold of the record that the API server itself has: the plan may rest on a store
    /// that lags, and an emptied volume remembers no epoch.
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

impl Action {
    /// Whether the primary changes by this: a record, an order that makes a pod lead that does not, or that ends its lead.
    #[must_use]
    pub fn changes_topology(&self, observed: &Observed) -> bool {
        match self {
            Self::Record(_) => true,
            Self::Order { pod, order } => {
                let leads = observed
                    .data
                    .get(pod)
                    .and_then(|node| node.data())
                    .is_some_and(|data| data.phase == Phase::Leading);
                leads != (*pod == order.primary)
            }
            Self::Monitor { .. }
            | Self::Configure { .. }
            | Self::SetUsers { .. }
            | Self::Label { .. } => false,
        }
    }
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order. An order rests on what was seen: drop it rather than send it more than ten seconds later.
    pub actions: Vec<Action>,
    /// Why the bus does not get further, where it does not.
    pub blocked: Vec<Blocked>,
    /// Whether the world is still moving, so that another look is due in a moment instead of at leisure.
    pub unsettled: bool,
}

impl Plan {
    /// Something that ends by itself or by what others do soon.
    fn wait(&mut self, blocked: Blocked) {
        self.unsettled = true;
        self.blocked.push(blocked);
    }

    /// Something that ends when the cluster says so, in an event.
    fn stuck(&mut self, blocked: Blocked) {
        self.blocked.push(blocked);
    }

    fn act(&mut self, action: Action) {
        self.unsettled = true;
        self.actions.push(action);
    }
}

/// Whether a record still asks for an order.
#[must_use]
pub fn intended(topology: &Topology, order: &TopologyOrder) -> bool {
    match &topology.target {
        Some(target) => target.pod == order.primary && target.epoch == order.epoch,
        None => {
            topology.primary.as_ref() == Some(&order.primary)
                && topology.epoch == order.epoch
                && !order.allow_empty
        }
    }
}

/// Decides what is to be done. In steady state: nothing.
#[must_use]
pub fn plan(bus: &Bus, observed: &Observed, desired: &Desired) -> Plan {
    let view = View::new(bus, observed);
    let mut plan = Plan::default();
    if rest::rests(bus) {
        rest::follow(&view, &mut plan);
        return plan;
    }
    let mut record = None;
    match topology::course(&view) {
        Course::Record(topology) => {
            plan.act(Action::Record(topology.clone()));
            record = Some(topology);
        }
        Course::Wait(blocked) => plan.wait(blocked),
        Course::Keep => {
            orders::give(&view, &mut plan);
            sentinels::tell(&view, &mut plan);
        }
    }
    view.absences(&mut plan);
    users::settle(&view, desired, &mut plan);
    configure::settle(&view, &mut plan);
    labels::settle(&view, record.as_ref().unwrap_or(&view.topology), &mut plan);
    plan
}
