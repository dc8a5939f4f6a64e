//! What each line became when it was applied.

use std::{collections::BTreeMap, fmt};

/// Remembers, for each user, the rules this process applied and the line the engine listed right after. An engine rewrites some rules so
/// that they can no longer be compared by reading them; with the ledger, drift is any later difference on either side. One for each
/// started process of a server: a restarted one has lost what was applied.
#[derive(Clone, Default)]
pub struct AclLedger {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone)]
struct Entry {
    applied: Vec<String>,
    listed: Vec<String>,
}

impl fmt::Debug for AclLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AclLedger")
            .field(&self.entries.keys())
            .finish()
    }
}

impl AclLedger {
    /// The ledger of a server to which nothing was applied.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn record(&mut self, user: &str, applied: &[String], listed: Vec<String>) {
        let applied = applied.to_vec();
        self.entries
            .insert(user.to_owned(), Entry { applied, listed });
    }

    pub(super) fn forget(&mut self, user: &str) {
        self.entries.remove(user);
    }

    pub(super) fn holds(&self, user: &str, desired: &[String], live: &[String]) -> bool {
        self.entries
            .get(user)
            .is_some_and(|entry| entry.applied == desired && entry.listed == live)
    }
}
