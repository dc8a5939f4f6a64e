//! Live settings of every data node are those of the spec, as far as they can be set live.

use super::view::View;
use super::{Action, Plan};
use crate::config::drift;
use crate::protocol::{ConfigOrder, DataStatus, RefusedSetting};

/// Sets what differs. What only a restart brings in is reported, not set; what the server has refused is tried again when that is due.
pub fn settle(view: &View<'_>, plan: &mut Plan) {
    let running = view.reports().filter(|(_, data)| !data.config.is_empty());
    for (pod, data) in running {
        let mut settings = drift(view.bus, &data.config, view.memory_limit(pod)).live;
        settings.retain(|directive, value| {
            refused(data, directive, value).is_none_or(|refused| refused.due)
        });
        if !settings.is_empty() {
            plan.act(Action::Configure {
                pod: pod.to_owned(),
                order: ConfigOrder { settings },
            });
        }
    }
}

/// The server's refusal of this value, where it does not take it.
pub fn refused<'a>(
    data: &'a DataStatus,
    directive: &str,
    value: &str,
) -> Option<&'a RefusedSetting> {
    let refused = data.refused_settings.get(directive)?;
    (refused.value == value).then_some(refused)
}
