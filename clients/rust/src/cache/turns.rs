//! Who may load a value in the background: one at a time for each key.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keys that are being loaded in the background.
#[derive(Clone, Default)]
pub(super) struct Turns {
    taken: Arc<Mutex<HashSet<String>>>,
}

impl Turns {
    /// The turn for this key, until it is dropped; `None` while another has it.
    pub(super) fn take(&self, key: &str) -> Option<Turn> {
        self.lock().insert(key.to_owned()).then(|| Turn {
            turns: self.clone(),
            key: key.to_owned(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Turn {
    turns: Turns,
    key: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_the_turn_for_a_key() {
        let turns = Turns::default();
        let turn = turns.take("a");
        assert!(turn.is_some());
        assert!(turns.take("a").is_none());
        assert!(turns.take("b").is_some());
        drop(turn);
        assert!(turns.take("a").is_some());
    }
}
