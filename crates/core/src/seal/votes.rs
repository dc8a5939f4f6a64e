//! What the Sentinels say, taken together.

use crate::names::Names;
use std::collections::BTreeMap;

/// What one Sentinel said when it was asked for the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Host that it names.
    pub primary_host: String,
    /// Its `config-epoch`.
    pub config_epoch: u64,
}

/// What the Sentinels say, taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// A majority of them names this data pod, and none knows better.
    Majority {
        /// Data pod.
        pod: String,
        /// Highest `config-epoch` among those that name it.
        config_epoch: u64,
    },
    /// Some name this data pod in a newer `config-epoch` than others name another: the newer one wins among Sentinels, and they
    /// are about to agree on it.
    Moving {
        /// Data pod that is named in the newest epoch.
        to: String,
    },
    /// Nothing that one could go by.
    None,
}

/// Takes together what each configured Sentinel says. Silence and hosts of others count for nobody.
#[must_use]
pub fn opinion(names: &Names, votes: &[Option<Vote>]) -> Opinion {
    let mut tally: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for vote in votes.iter().flatten() {
        if let Some(pod) = names.data_pod_of_host(&vote.primary_host) {
            let (count, epoch) = tally.entry(pod).or_default();
            *count += 1;
            *epoch = (*epoch).max(vote.config_epoch);
        }
    }
    let Some(newest) = tally.values().map(|(_, epoch)| *epoch).max() else {
        return Opinion::None;
    };
    let behind = tally.values().any(|(_, epoch)| *epoch < newest);
    let newest_named = tally.into_iter().filter(|(_, (_, epoch))| *epoch == newest);
    let (majority, rest): (Vec<_>, Vec<_>) =
        newest_named.partition(|(_, (count, _))| *count > votes.len() / 2);
    match (majority.into_iter().next(), rest.into_iter().next()) {
        (Some((pod, (_, config_epoch))), _) => Opinion::Majority { pod, config_epoch },
        (None, Some((to, _))) if behind => Opinion::Moving { to },
        _ => Opinion::None,
    }
}
