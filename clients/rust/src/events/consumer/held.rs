//! Entries that were handed out to this consumer and are not done with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::events::streams::{Entry, Holder};

/// Entries that were handed out to this consumer and are not done with. While it lives nobody claims them, however long they take.
pub(super) struct Held {
    holder: Holder,
    by_channel: Arc<Mutex<ByChannel>>,
    _keeper: AbortOnDropHandle<()>,
}

type ByChannel = BTreeMap<usize, Vec<String>>;

impl Held {
    pub(super) fn keep(holder: Holder, every: Duration) -> Self {
        let by_channel = Arc::default();
        let keeper = keep(holder.clone(), Arc::clone(&by_channel), every);
        Self {
            holder,
            by_channel,
            _keeper: AbortOnDropHandle::new(tokio::spawn(keeper)),
        }
    }

    pub(super) fn take(&self, entries: &[Entry]) {
        let mut held = lock(&self.by_channel);
        for entry in entries {
            let ids = held.entry(entry.channel).or_default();
            ids.push(entry.raw.id().to_owned());
        }
    }

    pub(super) fn done(&self, entry: &Entry) {
        if let Some(ids) = lock(&self.by_channel).get_mut(&entry.channel) {
            ids.retain(|id| id != entry.raw.id());
        }
    }

    /// What is left is not handled now, and stays this consumer's.
    pub(super) fn let_go(&self) {
        lock(&self.by_channel).clear();
    }

    /// What is left may be claimed by others at once.
    pub(super) async fn give_back(&self, claimed_after: Duration) {
        let left = std::mem::take(&mut *lock(&self.by_channel));
        for (channel, ids) in left.into_iter().filter(|(_, ids)| !ids.is_empty()) {
            if let Err(error) = self.holder.hold(channel, &ids, claimed_after).await {
                tracing::warn!(%error, "events that were not handled wait until they are claimed");
            }
        }
    }
}

async fn keep(holder: Holder, by_channel: Arc<Mutex<ByChannel>>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let held = lock(&by_channel).clone();
        for (channel, ids) in held.into_iter().filter(|(_, ids)| !ids.is_empty()) {
            if let Err(error) = holder.hold(channel, &ids, Duration::ZERO).await {
                tracing::warn!(%error, "held events may be claimed by others");
            }
        }
    }
}

fn lock(by_channel: &Mutex<ByChannel>) -> MutexGuard<'_, ByChannel> {
    by_channel.lock().unwrap_or_else(PoisonError::into_inner)
}
