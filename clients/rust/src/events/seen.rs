//! Which events came already.

use std::collections::{HashSet, VecDeque};

/// Ids by which an event that is both heard and found in a history is told from a new one.
const REMEMBERED: usize = 4096;

/// The ids of the newest events.
#[derive(Default)]
pub(super) struct Seen {
    ids: HashSet<String>,
    oldest_first: VecDeque<String>,
}

impl Seen {
    /// Remembers an id; `false` where it is remembered already.
    pub(super) fn insert(&mut self, id: &str) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.oldest_first.push_back(id.to_owned());
        if self.oldest_first.len() > REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut seen = Seen::default();
        for number in 0..=REMEMBERED {
            assert!(seen.insert(&number.to_string()));
        }
        assert!(!seen.insert(&REMEMBERED.to_string()));
        assert!(!seen.insert("1"));
        assert!(seen.insert("0"));
        assert_eq!(seen.ids.len(), REMEMBERED);
    }
}
