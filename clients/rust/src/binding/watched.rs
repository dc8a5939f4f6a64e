//! The binding as it is now.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::MissedTickBehavior;

use super::{Binding, Entries, Source};
use crate::connection::tls::TlsTrust;
use crate::contract::Contract;
use crate::error::Result;

/// A binding, and what is made of it once.
#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) binding: Arc<Binding>,
    pub(crate) contract: Arc<Contract>,
    /// `None`: plain text.
    pub(crate) tls: Option<TlsTrust>,
    /// Rises with each change of how to connect.
    pub(crate) generation: u64,
}

impl Current {
    fn of(binding: Binding, generation: u64) -> Result<Self> {
        Ok(Self {
            tls: binding
                .tls
                .then(|| TlsTrust::new(binding.ca_pem.as_deref()))
                .transpose()?,
            contract: Arc::new(binding.contract.clone()),
            binding: Arc::new(binding),
            generation,
        })
    }
}

/// Reads a binding again as long as somebody holds this.
pub(crate) struct Watched {
    source: Source,
    /// As they were read last, whether or not they made a binding.
    read: Mutex<Entries>,
    current: watch::Sender<Current>,
}

impl Watched {
    /// Reads the binding, and from then on each time that `every` has passed.
    pub(crate) fn start(source: Source, every: Duration) -> Result<Arc<Self>> {
        let entries = source.entries()?;
        let current = Current::of(Binding::of(&entries)?, 0)?;
        let watched = Arc::new(Self {
            source,
            read: Mutex::new(entries),
            current: watch::Sender::new(current),
        });
        if watched.source.may_change() {
            tokio::spawn(follow(Arc::downgrade(&watched), every));
        }
        Ok(watched)
    }

    pub(crate) fn current(&self) -> Current {
        self.current.borrow().clone()
    }

    pub(crate) fn contract(&self) -> Arc<Contract> {
        Arc::clone(&self.current.borrow().contract)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.current.borrow().generation
    }

    /// Returns when the contract has events on, or off; at once where it has.
    pub(crate) async fn events_are(&self, on: bool) {
        let mut changes = self.current.subscribe();
        // The sender lives as long as this.
        let _ = changes
            .wait_for(|current| current.contract.events_enabled == on)
            .await;
    }

    /// Reads the source now.
    pub(crate) async fn look(&self) {
        let mut known = self.read.lock().await;
        let source = self.source.clone();
        let read = tokio::task::spawn_blocking(move || source.entries()).await;
        let entries = match read {
            Ok(Ok(entries)) => entries,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the binding cannot be read; the last one stays in use");
                return;
            }
            // The runtime is being shut down.
            Err(_) => return,
        };
        if entries == *known {
            return;
        }
        let changed = Binding::of(&entries).and_then(|binding| self.successor(binding));
        *known = entries;
        match changed {
            Ok(next) => {
                let reconnects = next.generation != self.generation();
                self.current.send_replace(next);
                tracing::info!(reconnects, "the binding has changed");
            }
            // In the middle of being written, or wrong: nothing that works is given up for it.
            Err(error) => {
                tracing::warn!(%error, "the binding has changed and is none; the last one stays in use");
            }
        }
    }

    fn successor(&self, binding: Binding) -> Result<Current> {
        let current = self.current.borrow();
        let same = binding.connects_like(&current.binding);
        Current::of(binding, current.generation + u64::from(!same))
    }
}

async fn follow(watched: Weak<Watched>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match watched.upgrade() {
            Some(watched) => watched.look().await,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    fn contract(enabled: bool) -> String {
        format!(
            r#"{{"version":1,"service":"s","cache":{{"enabled":{enabled},"keyspaces":[]}},
            "events":{{"enabled":true,"publish":[],"subscribe":[]}}}}"#
        )
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("host", "h"), ("password", "one")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::write(folder.path().join("contract.json"), contract(true)).unwrap();
        folder
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_seen_without_being_asked_for() {
        let folder = folder();
        let every = Duration::from_secs(1);
        let watched = Watched::start(Source::folder(folder.path()), every).unwrap();
        let mut changes = watched.current.subscribe();
        fs::write(folder.path().join("password"), "two").unwrap();
        changes.changed().await.unwrap();
        let current = watched.current();
        assert_eq!(current.binding.password(), Some("two"));
        assert_eq!(current.generation, 1);
    }

    #[tokio::test]
    async fn a_contract_changes_without_a_new_connection() {
        let folder = folder();
        let every = Duration::from_hours(1);
        let watched = Watched::start(Source::folder(folder.path()), every).unwrap();
        fs::write(folder.path().join("contract.json"), contract(false)).unwrap();
        watched.look().await;
        assert!(!watched.contract().cache_enabled);
        assert_eq!(watched.generation(), 0);
    }

    #[tokio::test]
    async fn what_is_none_leaves_the_last_one_in_use() {
        let folder = folder();
        let every = Duration::from_hours(1);
        let watched = Watched::start(Source::folder(folder.path()), every).unwrap();
        for wrong in [("contract.json", "{"), ("port", "x")] {
            fs::write(folder.path().join(wrong.0), wrong.1).unwrap();
            watched.look().await;
            assert_eq!(watched.current().binding.address.port, 6379);
            assert!(watched.contract().cache_enabled);
        }
        fs::write(folder.path().join("port"), "7").unwrap();
        fs::write(folder.path().join("contract.json"), contract(true)).unwrap();
        watched.look().await;
        assert_eq!(watched.current().binding.address.port, 7);
    }
}
