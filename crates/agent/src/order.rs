//! What the operator may ask an agent to do.

use cachebus_core::names::Component;
use cachebus_core::protocol::{
    AclOrder, AgentStatus, ConfigOrder, FlushOrder, HandoverOrder, MonitorOrder, Refusal,
    RetireOrder, TopologyOrder,
};
use tokio::sync::{mpsc, oneshot};

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Topology(TopologyOrder),
    Handover(HandoverOrder),
    Config(ConfigOrder),
    Flush(FlushOrder),
    Acl(AclOrder),
    Monitor(MonitorOrder),
    Retire(RetireOrder),
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

/// The next order that somebody still waits for; `None` when there will be none. One whose caller has gone may be overtaken
/// by what the caller has learned since.
pub(crate) async fn next(orders: &mut mpsc::Receiver<Request>) -> Option<Request> {
    loop {
        let request = orders.recv().await?;
        if !request.reply.is_closed() {
            return Some(request);
        }
        tracing::info!("an order is left undone: its caller has gone");
    }
}

/// A refusal because the server or a file did not go along.
pub(crate) fn failed(error: &crate::AgentError) -> Refusal {
    Refusal::new(error.reason(), error.to_string())
}

/// A refusal because the order is for the other kind of pod.
pub(crate) fn misdirected(component: Component) -> Refusal {
    Refusal::new("WrongComponent", format!("this is a {component} pod"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn request(text: &str) -> (Request, oneshot::Receiver<Outcome>) {
        let (reply, outcome) = oneshot::channel();
        let order = Order::Acl(AclOrder {
            text: text.to_owned(),
        });
        (Request { order, reply }, outcome)
    }

    #[tokio::test]
    async fn an_order_is_skipped_once_its_caller_has_gone() {
        let (orders, mut inbox) = mpsc::channel(2);
        let (abandoned, outcome) = request("abandoned");
        orders.send(abandoned).await.unwrap();
        drop(outcome);
        let (awaited, _outcome) = request("awaited");
        let order = awaited.order.clone();
        orders.send(awaited).await.unwrap();
        drop(orders);

        assert_eq!(next(&mut inbox).await.unwrap().order, order);
        assert!(next(&mut inbox).await.is_none());
    }
}
