//! What the process remembers of each bus between passes. All of it may be lost at any moment.

use crate::controllers::cachebus::Pace;
use crate::ledger::Ledger;
use crate::silences::Silences;
use cachebus_core::bus::Bus;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is remembered of one bus.
#[derive(Debug, Default)]
pub struct Remembered {
    uid: String,
    /// What was sent.
    pub ledger: Ledger,
    /// What its last passes came to.
    pub pace: Pace,
    /// The version of the object in the store that is known to be an old one: the watch has died.
    pub outdated: Option<String>,
    /// Which of its data pods say nothing.
    pub silences: Silences,
    /// The bus by the last spec that could be carried out.
    pub valid: Option<Arc<Bus>>,
}

/// What is remembered of each bus, by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<HashMap<(String, String), Remembered>>>);

impl Memory {
    /// Reads or changes what is remembered of a bus. Nothing is remembered of another object that had the same name.
    pub fn with<T>(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        f: impl FnOnce(&mut Remembered) -> T,
    ) -> T {
        let mut memory = self.lock();
        let remembered = memory
            .entry((namespace.to_owned(), name.to_owned()))
            .or_default();
        if remembered.uid != uid {
            *remembered = Remembered {
                uid: uid.to_owned(),
                ..Remembered::default()
            };
        }
        f(remembered)
    }

    /// Forgets a bus that is gone, and says whether there was anything to forget.
    pub fn forget(&self, namespace: &str, name: &str) -> bool {
        let bus = (namespace.to_owned(), name.to_owned());
        self.lock().remove(&bus).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
