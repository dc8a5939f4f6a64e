//! Whom the Sentinels name.

use super::view::View;

/// The pod that a majority of the configured Sentinels names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Majority {
    /// Data pod.
    pub pod: String,
    /// Highest `config-epoch` among those that name it.
    pub config_epoch: u64,
}

/// Counts the votes of the Sentinels that should exist. Silence and hosts of others count for nobody.
pub fn majority(view: &View<'_>) -> Option<Majority> {
    let votes: Vec<(String, u64)> = view
        .sentinels
        .iter()
        .filter_map(|sentinel| view.sentinel(sentinel)?.monitored.as_ref())
        .filter_map(|monitored| {
            let pod = view.bus.names.data_pod_of_host(&monitored.host)?;
            Some((pod, monitored.config_epoch))
        })
        .collect();
    votes.iter().find_map(|(pod, _)| {
        let epochs = votes
            .iter()
            .filter(|(other, _)| other == pod)
            .map(|(_, epoch)| *epoch);
        (epochs.clone().count() > view.sentinels.len() / 2).then(|| Majority {
            pod: pod.clone(),
            config_epoch: epochs.max().unwrap_or_default(),
        })
    })
}
