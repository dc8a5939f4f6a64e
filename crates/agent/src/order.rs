//! What the operator may ask an agent to do.

use cachebus_core::names::Component;
use cachebus_core::protocol::{
    AclOrder, AgentStatus, ConfigOrder, MonitorOrder, Refusal, TopologyOrder,
};
use tokio::sync::{mpsc, oneshot};

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Topology(TopologyOrder),
    Config(ConfigOrder),
    Acl(AclOrder),
    Monitor(MonitorOrder),
}

/// What came of an order.
pub(crate) type Outcome = Result<AgentStatus, Refusal>;

/// An order, and where its outcome goes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) order: Order,
    pub(crate) reply: oneshot::Sender<Outcome>,
}

/// The way to the agent's loop.
pub(crate) type Orders = mpsc::Sender<Request>;

/// A refusal for a reason of the agent's own.
pub(crate) fn refuse(reason: &str, message: impl Into<String>) -> Refusal {
    Refusal {
        reason: reason.to_owned(),
        message: message.into(),
    }
}

/// A refusal because the server or a file did not go along.
pub(crate) fn failed(error: &crate::AgentError) -> Refusal {
    refuse(error.reason(), error.to_string())
}

/// A refusal because the order is for the other kind of pod.
pub(crate) fn misdirected(component: Component) -> Refusal {
    refuse("WrongComponent", format!("this is a {component} pod"))
}
