//! What a bus's Events tell.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::bus::Bus;

/// The Events of one bus; one that was counted up is there as often as it was told.
pub struct Events(Vec<Told>);

/// What one Event tells.
#[derive(Clone, Debug)]
pub struct Told {
    /// The condition's type, or `Primary`.
    pub action: String,
    pub reason: String,
    pub note: String,
}

impl Events {
    /// Those that there are.
    pub async fn of(bus: &Bus) -> anyhow::Result<Self> {
        let uid = bus.object().await?.uid().context("the bus has no UID")?;
        let api: Api<Event> = Api::namespaced(bus.client.clone(), bus.names.namespace());
        let found = api.list(&ListParams::default()).await?.items.into_iter();
        let own = found.filter(|event| {
            let regarding = event.regarding.as_ref();
            regarding.and_then(|regarding| regarding.uid.as_ref()) == Some(&uid)
        });
        Ok(Self(own.flat_map(told).collect()))
    }

    /// Those with this reason.
    pub fn because(&self, reason: &str) -> Vec<&Told> {
        let all = self.0.iter();
        all.filter(|told| told.reason == reason).collect()
    }

    /// How often each reason was told of the primary.
    pub fn about_the_primary(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for told in self.0.iter().filter(|told| told.action == "Primary") {
            *counts.entry(told.reason.clone()).or_default() += 1;
        }
        counts
    }

    /// Fails unless each time that a condition became true was told once, and each time that it ceased to be. `good`: the
    /// reason of each condition, all of which are true by now.
    pub fn alternate(&self, good: &BTreeMap<String, String>) -> anyhow::Result<()> {
        for (condition, reason) in good {
            let own = self.0.iter().filter(|told| told.action == *condition);
            let (became, ceased): (Vec<_>, Vec<_>) = own.partition(|told| told.reason == *reason);
            // A condition of which nothing was known at first becomes true once more than it ceases to be.
            ensure!(
                became.len() == ceased.len() || became.len() == ceased.len() + 1,
                "{condition} became true as told by {became:?}, and ceased to be by {ceased:?}"
            );
        }
        Ok(())
    }
}

fn told(event: Event) -> impl Iterator<Item = Told> {
    let times = event.series.as_ref().map_or(1, |series| series.count);
    let told = Told {
        action: event.action.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        note: event.note.unwrap_or_default(),
    };
    std::iter::repeat_n(told, usize::try_from(times).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(reasons: &[&str]) -> Events {
        let told = |reason: &&str| Told {
            action: "Ready".to_owned(),
            reason: (*reason).to_owned(),
            note: String::new(),
        };
        Events(reasons.iter().map(told).collect())
    }

    #[test]
    fn a_recovery_without_a_warning_is_amiss_and_a_warning_told_twice_too() {
        let good = BTreeMap::from([("Ready".to_owned(), "Ready".to_owned())]);
        let alternates = |reasons: &[&str]| events(reasons).alternate(&good).is_ok();
        assert!(alternates(&[]));
        assert!(alternates(&["Ready"]));
        assert!(alternates(&["Starting", "Ready", "NoPrimary", "Ready"]));
        assert!(!alternates(&["Starting", "Ready", "Ready", "Ready"]));
        assert!(!alternates(&["Starting", "Ready", "NoPrimary"]));
    }
}
