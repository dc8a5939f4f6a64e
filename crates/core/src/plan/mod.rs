//! From one look at the world to what is to be done: [`plan`].
//!
//! Each pass looks anew and does the next step, so any operator may carry on where another stopped. What was decided is in
//! `status.topology` and nowhere else. The order of the steps: record a target, order it to lead, see it lead, record it as
//! primary, let the others follow, tell the Sentinels. See [`topology`] for who decides and [`bootstrap`] for the choice.

mod blocked;
mod bootstrap;
pub(crate) mod configure;
mod electorate;
pub(crate) mod flush;
mod ghosts;
pub(crate) mod handover;
pub(crate) mod health;
mod labels;
mod mounts;
pub(crate) mod orders;
pub(crate) mod pending;
mod request;
pub(crate) mod rest;
pub(crate) mod restore;
mod rollout;
mod routes;
mod scale;
pub(crate) mod sentinels;
pub(crate) mod storage;
mod topology;
pub(crate) mod users;
pub(crate) mod view;
mod votes;

pub use blocked::{Blocked, reason};
pub use electorate::retirement_intended;
pub use flush::flush_intended;
pub use handover::{handover_intended, refused};
pub use rest::asleep;
pub use restore::{Restoration, restoration};
pub use rollout::{primary_may_go, restart_intended};
pub use routes::routes;
pub use scale::kept;
pub use storage::{grows, replacement_intended};

use crate::acl::AclFiles;
use crate::bus::Bus;
use crate::names::Component;
use crate::observed::Observed;
use crate::protocol::{
    AclOrder, ConfigOrder, FlushOrder, HandoverOrder, MonitorOrder, Phase, RetireOrder,
    TopologyOrder,
};
use cachebus_api::status::Topology;
use topology::Course;
use view::View;

/// What the world is compared with besides the spec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The users of each component.
    pub acl: AclFiles,
    /// End of the bus's serving certificate, seconds since 1970; `None`: there is none yet.
    pub certificate_expires: Option<i64>,
    /// [Fingerprint](crate::tls::fingerprint) of that certificate.
    pub certificate: Option<String>,
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
    /// Tell the primary's agent to hand the lead over. Before that is sent, [`handover_intended`] must hold of the record that
    /// the API server itself has.
    HandOver {
        /// Data pod that leads.
        pod: String,
        /// To whom it hands over.
        order: HandoverOrder,
    },
    /// Delete a pod so that it is made anew from the present template. Before that, [`restart_intended`] must hold of the record
    /// that the API server itself has, and a data pod must be asked once more whether it leads.
    Restart {
        /// Data or Sentinel pod.
        pod: String,
        /// UID of the pod that is meant. None other of that name may be deleted.
        uid: String,
        /// UID of its claim, where that is to be deleted before it: the pod comes back with an empty volume. Before that,
        /// [`replacement_intended`] must hold of the same record, and the primary must say once more that it leads.
        claim: Option<String>,
    },
    /// Delete a StatefulSet and leave its pods, so that it is made anew with another claim template and takes them up.
    Remake {
        /// Whose pods they are.
        component: Component,
        /// UID of the StatefulSet that is meant.
        uid: String,
    },
    /// Have the claim of a pod ask for a larger volume.
    Grow {
        /// Data or Sentinel pod.
        pod: String,
        /// UID of the claim that is meant.
        claim: String,
        /// What it is to ask for, as Kubernetes reads it.
        size: String,
    },
    /// Take the request for another primary off the object, if it is still this one.
    Answer {
        /// What was asked for.
        asked: String,
        /// Why nothing comes of it, for people; `None`: it is recorded.
        refusal: Option<String>,
    },
    /// Take the request to empty keyspaces off the object, if it is still this one.
    AnswerFlush {
        /// What was asked for.
        asked: String,
        /// Why nothing comes of it, for people; `None`: it is recorded.
        refusal: Option<String>,
    },
    /// Tell the primary's agent to empty keyspaces. It is repeated until the agent reports it. Before that, [`flush_intended`] must hold
    /// of the record that the API server itself has.
    Flush {
        /// Data pod that leads.
        pod: String,
        /// What it is told.
        order: FlushOrder,
    },
    /// Tell a Sentinel what to monitor.
    Monitor {
        /// Sentinel pod that is told.
        pod: String,
        /// What it is told.
        order: MonitorOrder,
    },
    /// Tell a Sentinel that leaves to watch the bus no more. Before that, [`retirement_intended`] must hold of the record that the
    /// API server itself has.
    Retire {
        /// Sentinel pod that is told.
        pod: String,
        /// What it is told.
        order: RetireOrder,
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
    /// Note on a data pod what it is to take up from its mounts, by which kubelet brings it at once.
    Refresh {
        /// Data pod.
        pod: String,
        /// Value of [`crate::names::AWAITS_ANNOTATION`].
        awaited: String,
    },
}

impl Action {
    /// Whether the primary or the pods change by this: a record, a handover, a restart, an order that makes a pod lead that does
    /// not, or that ends its lead.
    #[must_use]
    pub fn changes_topology(&self, observed: &Observed) -> bool {
        match self {
            Self::Record(_) | Self::HandOver { .. } | Self::Restart { .. } => true,
            Self::Order { pod, order } => {
                let leads = observed
                    .data
                    .get(pod)
                    .and_then(|node| node.data())
                    .is_some_and(|data| data.phase == Phase::Leading);
                leads != (*pod == order.primary)
            }
            Self::Answer { .. }
            | Self::AnswerFlush { .. }
            | Self::Flush { .. }
            | Self::Remake { .. }
            | Self::Grow { .. }
            | Self::Monitor { .. }
            | Self::Retire { .. }
            | Self::Configure { .. }
            | Self::SetUsers { .. }
            | Self::Label { .. }
            | Self::Refresh { .. } => false,
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

    /// What it writes into `status.topology`.
    pub(crate) fn record(&self) -> Option<&Topology> {
        self.actions.iter().find_map(|action| match action {
            Action::Record(topology) => Some(topology),
            _ => None,
        })
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
    if rest::resting(bus).is_some() {
        rest::follow(&view, &mut plan);
    } else {
        pursue(&view, desired, &mut plan);
    }
    for action in &mut plan.actions {
        // What the pods were made by from the first on must be known when the spec asks for another number.
        if let Action::Record(topology) = action {
            topology.sentinels.get_or_insert(bus.electorate);
        }
    }
    plan
}

/// Decides what is to be done for a bus that is to run.
fn pursue(view: &View<'_>, desired: &Desired, plan: &mut Plan) {
    if restore::awaits(view.bus, view.observed) {
        restore::wait(view, plan);
        return;
    }
    let course = handover::running(view).map_or_else(|| topology::course(view), Course::Wait);
    match &course {
        Course::Record(topology) => plan.act(Action::Record((**topology).clone())),
        Course::Wait(blocked) => plan.wait(blocked.clone()),
        Course::Keep if handover::carry_on(view, plan) => {}
        Course::Keep => {
            orders::give(view, plan);
            sentinels::tell(view, plan);
        }
    }
    view.absences(plan);
    users::settle(view, desired, plan);
    configure::settle(view, plan);
    changes(view, &course, desired, plan);
    storage::settle(view, plan);
    let record = plan.record().cloned();
    labels::settle(view, record.as_ref().unwrap_or(&view.topology), plan);
    mounts::settle(view, desired, plan);
    // Last: what a pod fails at here is nothing that anything else waits for.
    flush::answer(view, plan);
    flush::order(view, desired, plan);
}

/// What people and the spec ask for of a primary and its pods that are well: a switchover, fewer pods, other pods.
fn changes(view: &View<'_>, course: &Course, desired: &Desired, plan: &mut Plan) {
    let moves = plan.actions.iter().any(|action| {
        matches!(action, Action::Order { .. } | Action::Monitor { .. })
            || action.changes_topology(view.observed)
    });
    match course {
        Course::Keep if handover::recorded(view).is_some() => request::answer(view, None, plan),
        _ if moves => {}
        // It moves.
        Course::Record(_) => {}
        Course::Wait(changing) => {
            request::answer(view, Some(changing), plan);
            rollout::revive(view, desired, plan);
        }
        Course::Keep if health::leading(view).is_none() => rollout::revive(view, desired, plan),
        Course::Keep => {
            request::answer(view, None, plan);
            if plan.record().is_none()
                && !scale::shrink(view, plan)
                && !electorate::change(view, desired, plan)
            {
                rollout::roll(view, desired, plan);
            }
        }
    }
}
