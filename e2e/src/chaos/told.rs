//! What a person sees of a fault: conditions that are not true, and Events.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use cachebus_api::CacheBus;
use futures::StreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::watch_object;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::bus::Bus;
use crate::events::Events;

/// Conditions that only sum up others.
const SUMS: [&str; 1] = ["Ready"];

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Reasons of conditions, with the milliseconds from the fault until each was first seen.
    pub conditions: BTreeMap<String, u64>,
    /// Reasons of Events about the primary, and how often each was told.
    pub events: BTreeMap<String, usize>,
}

impl Told {
    /// Whether one of these reasons was told, or none need be.
    pub fn any_of(&self, reasons: &[&str]) -> bool {
        let told = |reason: &&str| {
            self.conditions.contains_key(*reason) || self.events.contains_key(*reason)
        };
        reasons.is_empty() || reasons.iter().any(told)
    }
}

/// Listens until it is asked.
pub struct Listener {
    bus: Bus,
    before: BTreeMap<String, usize>,
    conditions: Arc<Mutex<BTreeMap<String, u64>>>,
    _task: JoinSet<()>,
}

impl Listener {
    /// Begins; times count from now.
    pub async fn begin(bus: &Bus) -> anyhow::Result<Self> {
        let before = Events::of(bus).await?.about_the_primary();
        let known = untrue(bus.object().await?).collect();
        let conditions = Arc::default();
        let mut task = JoinSet::new();
        task.spawn(listen(bus.clone(), known, Arc::clone(&conditions)));
        Ok(Self {
            bus: bus.clone(),
            before,
            conditions,
            _task: task,
        })
    }

    /// What was told.
    pub async fn end(self) -> anyhow::Result<Told> {
        let mut events = Events::of(&self.bus).await?.about_the_primary();
        for (reason, times) in &mut events {
            *times -= self.before.get(reason).copied().unwrap_or_default();
        }
        events.retain(|_, times| *times > 0);
        let conditions = self
            .conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(Told {
            conditions: conditions.clone(),
            events,
        })
    }
}

/// Each change of the object is seen, however soon it is followed by another. What stood before the fault is nothing of it, until
/// it has gone and come again.
async fn listen(bus: Bus, mut standing: BTreeSet<String>, seen: Arc<Mutex<BTreeMap<String, u64>>>) {
    let began = Instant::now();
    let mut changes = pin!(watch_object(bus.api(), bus.names.bus()).default_backoff());
    // A watch that breaks off, as where the API server is away, begins anew.
    while let Some(change) = changes.next().await {
        let Ok(Some(object)) = change else { continue };
        let after = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let reasons: BTreeSet<String> = untrue(object).collect();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for reason in reasons.difference(&standing) {
            seen.entry(reason.clone()).or_insert(after);
        }
        standing = reasons;
    }
}

/// The reasons of the conditions that are not true.
fn untrue(object: CacheBus) -> impl Iterator<Item = String> {
    let status = object.status.unwrap_or_default();
    let conditions = status.conditions.into_iter();
    conditions
        .filter(|condition| {
            condition.status == "False" && !SUMS.contains(&condition.type_.as_str())
        })
        .map(|condition| condition.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reason_is_enough_and_none_where_none_is_asked_for() {
        let told = Told {
            conditions: BTreeMap::from([("PrimaryFenced".to_owned(), 10)]),
            events: BTreeMap::from([("SwitchedOver".to_owned(), 1)]),
        };
        assert!(told.any_of(&["RollingOut", "PrimaryFenced"]));
        assert!(told.any_of(&["SwitchedOver"]));
        assert!(!told.any_of(&["RollingOut"]));
        assert!(told.any_of(&[]));
    }
}
