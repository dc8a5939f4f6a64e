//! Whom the Sentinels name.

use super::view::View;
use crate::seal::{Opinion, Vote, opinion};

/// What the Sentinels that should exist say, taken together.
pub fn heard(view: &View<'_>) -> Opinion {
    let votes: Vec<Option<Vote>> = view
        .sentinels
        .iter()
        .map(|pod| {
            let monitored = view.sentinel(pod)?.monitored.as_ref()?;
            Some(Vote {
                primary_host: monitored.host.clone(),
                config_epoch: monitored.config_epoch,
            })
        })
        .collect();
    opinion(&view.bus.names, &votes)
}
