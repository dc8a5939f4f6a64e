//! What a near cache holds: stored bytes, as many as fit.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

/// What an entry takes besides its key and its value, about.
const OVERHEAD: usize = 128;

/// Stored bytes by key. Where they are too many, what was not asked for of late goes first (second chance).
pub(super) struct Entries {
    max_bytes: usize,
    bytes: usize,
    held: HashMap<Arc<str>, Entry>,
    /// Oldest first; with the number of the entry that is meant, for its key may have another by now.
    order: VecDeque<(Arc<str>, u64)>,
    /// Keys that are being read, with the number of the newest read.
    awaited: HashMap<Arc<str>, u64>,
    numbers: u64,
}

/// What was read of a key.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) data: Arc<[u8]>,
    /// When the server drops it; `None`: it has no end.
    pub(super) ends: Option<Instant>,
    /// When it is to be read again, at the latest.
    pub(super) until: Instant,
}

struct Entry {
    kept: Kept,
    number: u64,
    used: bool,
}

impl Entries {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            held: HashMap::new(),
            order: VecDeque::new(),
            awaited: HashMap::new(),
            numbers: 0,
        }
    }

    pub(super) fn get(&mut self, key: &str, now: Instant) -> Option<Kept> {
        let entry = self.held.get_mut(key)?;
        let kept = &entry.kept;
        if kept.until <= now || kept.ends.is_some_and(|ends| ends <= now) {
            self.remove(key);
            return None;
        }
        entry.used = true;
        Some(entry.kept.clone())
    }

    /// A read of this key begins. Its number is good for [`Entries::fill`] unless the key is forgotten meanwhile.
    pub(super) fn expect(&mut self, key: &str) -> u64 {
        self.numbers += 1;
        self.awaited.insert(key.into(), self.numbers);
        self.numbers
    }

    /// A read has ended without a value.
    pub(super) fn give_up(&mut self, key: &str, number: u64) {
        if self.awaited.get(key) == Some(&number) {
            self.awaited.remove(key);
        }
    }

    /// Holds what was read, unless the key was forgotten since: what was read may be from before.
    pub(super) fn fill(&mut self, key: &str, number: u64, kept: Kept) {
        if self.awaited.get(key) != Some(&number) {
            return;
        }
        self.awaited.remove(key);
        self.remove(key);
        let size = size(key, &kept.data);
        if size > self.max_bytes {
            return;
        }
        let key: Arc<str> = key.into();
        self.bytes += size;
        self.order.push_back((Arc::clone(&key), number));
        let entry = Entry {
            kept,
            number,
            used: false,
        };
        self.held.insert(key, entry);
        self.make_room();
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.awaited.remove(key);
        self.remove(key);
    }

    pub(super) fn clear(&mut self) {
        self.awaited.clear();
        self.held.clear();
        self.order.clear();
        self.bytes = 0;
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.held.remove(key) {
            self.bytes -= size(key, &entry.kept.data);
        }
    }

    fn make_room(&mut self) {
        while self.bytes > self.max_bytes {
            let Some((key, number)) = self.order.pop_front() else {
                return;
            };
            match self.held.get_mut(&key) {
                Some(entry) if entry.number == number => {
                    if entry.used {
                        entry.used = false;
                        self.order.push_back((key, number));
                    } else {
                        self.remove(&key);
                    }
                }
                _ => {}
            }
        }
        // What was forgotten leaves its place behind.
        if self.order.len() > 2 * self.held.len() + 64 {
            let held = &self.held;
            self.order
                .retain(|(key, number)| held.get(key).is_some_and(|entry| entry.number == *number));
        }
    }
}

fn size(key: &str, data: &[u8]) -> usize {
    key.len() + data.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    fn kept(data: &[u8], now: Instant) -> Kept {
        Kept {
            data: data.into(),
            ends: None,
            until: now + TTL,
        }
    }

    fn fill(entries: &mut Entries, key: &str, now: Instant) {
        let number = entries.expect(key);
        entries.fill(key, number, kept(b"v", now));
    }

    fn holds(entries: &mut Entries, key: &str, now: Instant) -> bool {
        entries.get(key, now).is_some()
    }

    #[test]
    fn what_is_held_runs_out() {
        let (mut entries, now) = (Entries::new(1000), Instant::now());
        fill(&mut entries, "a", now);
        let number = entries.expect("b");
        let ends = Some(now + TTL / 2);
        let sooner = kept(b"v", now);
        entries.fill("b", number, Kept { ends, ..sooner });
        let later = now + TTL / 4;
        assert_eq!(&*entries.get("a", later).unwrap().data, b"v");
        assert_eq!(entries.get("b", later).unwrap().ends, ends);
        assert!(!holds(&mut entries, "b", now + TTL / 2));
        assert!(holds(&mut entries, "a", now + TTL / 2));
        assert!(!holds(&mut entries, "a", now + TTL));
        assert_eq!(entries.bytes, 0);
    }

    #[test]
    fn what_was_forgotten_while_it_was_read_is_not_held() {
        let (mut entries, now) = (Entries::new(1000), Instant::now());
        let forget: [fn(&mut Entries); 2] = [|entries| entries.forget("a"), Entries::clear];
        for forget in forget {
            let number = entries.expect("a");
            forget(&mut entries);
            entries.fill("a", number, kept(b"old", now));
            assert!(!holds(&mut entries, "a", now));
        }
        let (first, second) = (entries.expect("a"), entries.expect("a"));
        entries.fill("a", first, kept(b"first", now));
        assert!(!holds(&mut entries, "a", now));
        entries.fill("a", second, kept(b"second", now));
        assert!(holds(&mut entries, "a", now));
        let number = entries.expect("b");
        entries.give_up("b", number);
        assert!(entries.awaited.is_empty());
    }

    #[test]
    fn what_is_asked_for_stays_where_others_have_to_go() {
        let each = size("0", b"v");
        let (mut entries, now) = (Entries::new(3 * each), Instant::now());
        for key in ["0", "1", "2"] {
            fill(&mut entries, key, now);
        }
        assert!(holds(&mut entries, "0", now));
        fill(&mut entries, "3", now);
        assert!(holds(&mut entries, "0", now));
        assert!(!holds(&mut entries, "1", now));
        assert_eq!(entries.bytes, 3 * each);
        let number = entries.expect("4");
        entries.fill("4", number, kept(&vec![0; 4 * each], now));
        assert!(!holds(&mut entries, "4", now));
        assert!(holds(&mut entries, "2", now));
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing_behind() {
        let (mut entries, now) = (Entries::new(10_000), Instant::now());
        for _ in 0..10_000 {
            fill(&mut entries, "a", now);
            entries.forget("a");
        }
        assert_eq!(entries.bytes, 0);
        assert!(entries.order.len() <= 65);
    }
}
