//! What the process still waits for before it can do its work.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What the process still waits for.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    awaited: Arc<Mutex<BTreeSet<String>>>,
    leading: Arc<Mutex<bool>>,
}

impl Readiness {
    /// Waits for this until it is [done](Self::done).
    pub fn wait_for(&self, what: &str) {
        lock(&self.awaited).insert(what.to_owned());
    }

    /// This need not be waited for any more.
    pub fn done(&self, what: &str) {
        lock(&self.awaited).remove(what);
    }

    /// This process acts from now on.
    pub fn leads(&self) {
        *lock(&self.leading) = true;
    }

    /// Whether the process is ready, and what it waits for, for people. A process that waits for leadership alone is
    /// ready: its stores are warm, so that it can take over at once.
    pub fn report(&self) -> (bool, String) {
        let awaited = lock(&self.awaited);
        let mut text = String::new();
        for what in awaited.iter() {
            text.push_str("waits for ");
            text.push_str(what);
            text.push('\n');
        }
        text.push_str(if *lock(&self.leading) {
            "leads\n"
        } else {
            "waits for leadership\n"
        });
        (awaited.is_empty(), text)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn names_what_is_missing_until_it_is_there() {
        let readiness = Readiness::default();
        readiness.wait_for("the CRD");
        assert_eq!(
            readiness.report(),
            (
                false,
                "waits for the CRD\nwaits for leadership\n".to_owned()
            )
        );
        readiness.done("the CRD");
        assert_eq!(
            readiness.report(),
            (true, "waits for leadership\n".to_owned())
        );
        readiness.leads();
        assert_eq!(readiness.report(), (true, "leads\n".to_owned()));
    }
}
