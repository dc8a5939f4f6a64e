//! Entries that were handed out to this consumer and are not done with, by key.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};

use crate::event::Event;
use crate::events::entry::Entry;

/// An entry on its way to a handler.
pub(super) struct Work {
    pub(super) entry: Entry,
    /// `None`: the entry holds no envelope.
    pub(super) event: Option<Event>,
    /// Work of one key is done in its order, one after the other.
    pub(super) key: String,
}

/// Ids of entries, by their channel.
pub(super) type Ids = BTreeMap<usize, BTreeSet<String>>;

/// Hands work to so many workers, never two of one key at a time.
pub(super) struct Lanes {
    workers: usize,
    /// Work of one channel that may wait here or be done.
    most_of_channel: usize,
    state: Mutex<State>,
    /// One permit for each key of `State::ready`.
    ready: Semaphore,
    /// The reader is to look again whether there is room.
    done: Notify,
}

#[derive(Default)]
struct State {
    /// What waits, by key. A key is here while it has work that waits or is done.
    waiting: HashMap<String, VecDeque<Work>>,
    /// Keys of which nothing is done now and something waits.
    ready: VecDeque<String>,
    working: usize,
    held: Ids,
}

impl State {
    fn held_of(&self, channel: usize) -> usize {
        self.held.get(&channel).map_or(0, BTreeSet::len)
    }
}

impl Lanes {
    pub(super) fn new(workers: usize, most_of_channel: usize) -> Self {
        Self {
            workers,
            most_of_channel,
            state: Mutex::default(),
            ready: Semaphore::new(0),
            done: Notify::new(),
        }
    }

    /// Adds what was handed out; what is held already is not added again.
    pub(super) fn add(&self, work: impl IntoIterator<Item = Work>) {
        let mut state = self.state();
        for work in work {
            let entry = &work.entry;
            let ids = state.held.entry(entry.channel).or_default();
            if !ids.insert(entry.raw.id().to_owned()) {
                continue;
            }
            if let Some(waiting) = state.waiting.get_mut(&work.key) {
                waiting.push_back(work);
            } else {
                let key = work.key.clone();
                state.waiting.insert(key.clone(), VecDeque::from([work]));
                state.ready.push_back(key);
                self.ready.add_permits(1);
            }
        }
    }

    /// The next work; waits for it. Its key is done or left afterwards.
    pub(super) async fn take(&self) -> Work {
        loop {
            // The semaphore is never closed.
            if let Ok(permit) = self.ready.acquire().await {
                permit.forget();
            }
            let mut state = self.state();
            if let Some(key) = state.ready.pop_front()
                && let Some(work) = state.waiting.get_mut(&key).and_then(VecDeque::pop_front)
            {
                state.working += 1;
                return work;
            }
        }
    }

    /// This work is done with, and the next of its key may begin.
    pub(super) fn done(&self, work: &Work) {
        let mut state = self.state();
        if let Some(ids) = state.held.get_mut(&work.entry.channel) {
            ids.remove(work.entry.raw.id());
        }
        state.working -= 1;
        if state.waiting.get(&work.key).is_some_and(VecDeque::is_empty) {
            state.waiting.remove(&work.key);
        } else {
            state.ready.push_back(work.key.clone());
            self.ready.add_permits(1);
        }
        drop(state);
        self.done.notify_one();
    }

    /// Forgets what waits: it stays handed out to this consumer.
    pub(super) fn forget_waiting(&self) {
        let mut state = self.state();
        let State {
            waiting,
            ready,
            held,
            ..
        } = &mut *state;
        for work in waiting.values_mut().flat_map(|works| works.drain(..)) {
            if let Some(ids) = held.get_mut(&work.entry.channel) {
                ids.remove(work.entry.raw.id());
            }
        }
        for key in ready.drain(..) {
            waiting.remove(&key);
        }
    }

    /// Waits until a worker has nothing to do, and names the channels of which it may be given more, at least one.
    pub(super) async fn room(&self, channels: usize) -> Vec<usize> {
        loop {
            {
                let state = self.state();
                if state.working + state.ready.len() < self.workers {
                    let open: Vec<usize> = (0..channels)
                        .filter(|&channel| state.held_of(channel) < self.most_of_channel)
                        .collect();
                    if !open.is_empty() {
                        return open;
                    }
                }
            }
            self.done.notified().await;
        }
    }

    /// What is not done with.
    pub(super) fn held(&self) -> Ids {
        self.state().held.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt as _;
    use redis::Value;

    use super::*;

    fn work(id: &str, key: &str) -> Work {
        let id = Value::BulkString(id.into());
        let raw = redis::from_redis_value(Value::Array(vec![id, Value::Nil])).unwrap();
        Work {
            entry: Entry {
                channel: 0,
                raw,
                deliveries: 1,
            },
            event: None,
            key: key.to_owned(),
        }
    }

    fn taken(lanes: &Lanes) -> Option<Work> {
        lanes.take().now_or_never()
    }

    fn id(work: Option<Work>) -> Option<String> {
        work.map(|work| work.entry.raw.id().to_owned())
    }

    #[test]
    fn of_one_key_there_is_one_at_a_time() {
        let lanes = Lanes::new(2, 16);
        lanes.add([work("1-0", "a"), work("2-0", "a"), work("3-0", "b")]);
        let first = taken(&lanes).unwrap();
        assert_eq!(first.entry.raw.id(), "1-0");
        assert_eq!(id(taken(&lanes)).as_deref(), Some("3-0"));
        assert!(taken(&lanes).is_none());
        lanes.done(&first);
        assert_eq!(id(taken(&lanes)).as_deref(), Some("2-0"));
    }

    #[test]
    fn what_is_held_is_not_added_again() {
        let lanes = Lanes::new(2, 16);
        lanes.add([work("1-0", "a")]);
        let first = taken(&lanes).unwrap();
        lanes.add([work("1-0", "a")]);
        lanes.done(&first);
        assert!(taken(&lanes).is_none());
        assert!(lanes.held()[&0].is_empty());
    }

    #[test]
    fn what_waited_may_come_again_after_it_was_forgotten() {
        let lanes = Lanes::new(2, 16);
        lanes.add([work("1-0", "a"), work("2-0", "a"), work("3-0", "b")]);
        let first = taken(&lanes).unwrap();
        lanes.forget_waiting();
        assert!(taken(&lanes).is_none());
        assert_eq!(lanes.held()[&0].len(), 1);
        lanes.add([work("2-0", "a"), work("3-0", "b")]);
        assert_eq!(id(taken(&lanes)).as_deref(), Some("3-0"));
        lanes.done(&first);
        assert_eq!(id(taken(&lanes)).as_deref(), Some("2-0"));
    }

    #[test]
    fn there_is_room_while_a_worker_is_idle_and_a_channel_has_not_its_fill() {
        let lanes = Lanes::new(2, 3);
        let room = || lanes.room(2).now_or_never();
        assert_eq!(room(), Some(vec![0, 1]));
        lanes.add([work("1-0", "a"), work("2-0", "a"), work("3-0", "a")]);
        assert_eq!(room(), Some(vec![1]));
        lanes.add([work("4-0", "b")]);
        assert_eq!(room(), None);
        let first = taken(&lanes).unwrap();
        taken(&lanes).unwrap();
        assert_eq!(room(), None);
        lanes.done(&first);
        assert_eq!(room(), None);
    }
}
