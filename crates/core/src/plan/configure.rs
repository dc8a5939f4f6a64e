//! Live settings of every data node are those of the spec, as far as they can be set live.

use super::view::View;
use super::{Action, Plan};
use crate::config::drift;
use crate::protocol::ConfigOrder;

/// Sets what differs. What only a restart brings in is reported, not set.
pub fn settle(view: &View<'_>, plan: &mut Plan) {
    let running = view.reports().filter(|(_, data)| !data.config.is_empty());
    for (pod, data) in running {
        let settings = drift(view.bus, &data.config, view.memory_limit(pod)).live;
        if !settings.is_empty() {
            plan.act(Action::Configure {
                pod: pod.to_owned(),
                order: ConfigOrder { settings },
            });
        }
    }
}
