//! A person asks for another primary, by an annotation. The answer comes at once: it is recorded, or refused.

use super::blocked::Blocked;
use super::handover::{decide, recorded, unfit, why};
use super::view::View;
use super::{Action, Plan};
use crate::names::ANY_REPLICA;

/// Answers the request, where there is one. `changing`: why the topology cannot be changed now.
pub fn answer(view: &View<'_>, changing: Option<&Blocked>, plan: &mut Plan) {
    let Some(asked) = view.observed.request.as_deref() else {
        return;
    };
    let to = (asked != ANY_REPLICA).then(|| asked.to_owned());
    let refusal = match recorded(view) {
        // An operator recorded it and came no further.
        Some(handover) if handover.reason == why::SWITCHOVER && handover.to == to => None,
        Some(handover) => Some(format!(
            "the lead is being handed over already ({})",
            handover.reason
        )),
        None => match refusal(view, to.as_deref(), changing) {
            None => {
                plan.act(decide(view, to, why::SWITCHOVER));
                None
            }
            refusal => refusal,
        },
    };
    plan.act(Action::Answer {
        asked: asked.to_owned(),
        refusal,
    });
}

/// Refuses the request, where there is one: later, when it could be met, it may not be wanted any more.
pub fn refuse(view: &View<'_>, why: &str, plan: &mut Plan) {
    if let Some(asked) = view.observed.request.clone() {
        plan.act(Action::Answer {
            asked,
            refusal: Some(why.to_owned()),
        });
    }
}

fn refusal(view: &View<'_>, to: Option<&str>, changing: Option<&Blocked>) -> Option<String> {
    if view.bus.spec.replicas == 0 {
        return Some("the bus has no replicas".to_owned());
    }
    if let Some(changing) = changing {
        return Some(changing.message.clone());
    }
    if let Some(pod) = to {
        return unfit(view, pod);
    }
    let flaws = view.nodes.iter().map(|pod| unfit(view, pod));
    // None where one of them is fit.
    let flaws: Vec<String> = flaws.collect::<Option<_>>()?;
    Some(flaws.join(", "))
}
