//! What this process sent to the API server last, so that steady state sends nothing and drift is noticed.

use kube::api::ObjectMeta;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

/// Time for which the watch may lag behind what was sent.
const LAG: Duration = Duration::from_secs(5);

/// What an object looked like: it changes with every change of what the operator writes, and as a rule with nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// The mark of an object. `generation` changes with the spec alone; a kind without it has `resourceVersion`.
    pub fn of(metadata: &ObjectMeta) -> Self {
        let mut hasher = DefaultHasher::new();
        metadata.uid.hash(&mut hasher);
        match metadata.generation {
            Some(generation) => generation.hash(&mut hasher),
            None => metadata.resource_version.hash(&mut hasher),
        }
        metadata.labels.hash(&mut hasher);
        for owner in metadata.owner_references.iter().flatten() {
            (&owner.uid, owner.controller).hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

#[derive(Clone, Debug)]
struct Sent {
    digest: u64,
    before: Option<Mark>,
    after: Mark,
    at: Instant,
}

/// What was sent for one bus.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    sent: HashMap<(&'static str, String), Sent>,
}

impl Ledger {
    /// Whether an object has to be sent: it was not sent yet, is rendered differently, or is not as sending left it.
    pub fn is_due(
        &mut self,
        kind: &'static str,
        name: &str,
        digest: u64,
        seen: Option<Mark>,
        now: Instant,
    ) -> bool {
        let Some(sent) = self.sent.get_mut(&(kind, name.to_owned())) else {
            return true;
        };
        if sent.digest != digest {
            return true;
        }
        if seen == Some(sent.after) {
            // From here on the old mark is drift and no lag of the watch: somebody deleted what was there.
            sent.before = Some(sent.after);
            return false;
        }
        let lagging = seen == sent.before && now.duration_since(sent.at) < LAG;
        !lagging
    }

    /// Notes what sending left behind.
    pub fn note(
        &mut self,
        kind: &'static str,
        name: &str,
        digest: u64,
        before: Option<Mark>,
        after: Mark,
        now: Instant,
    ) {
        let sent = Sent {
            digest,
            before,
            after,
            at: now,
        };
        self.sent.insert((kind, name.to_owned()), sent);
    }
}

/// The digest of what is sent.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::{LAG, Ledger, Mark};
    use kube::api::ObjectMeta;
    use std::time::{Duration, Instant};

    const KIND: &str = "Service";

    fn version(version: &str) -> Mark {
        Mark::of(&ObjectMeta {
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        })
    }

    fn created(at: Instant) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.note(KIND, "b", 1, None, version("7"), at);
        ledger
    }

    #[test]
    fn what_was_never_sent_is_due() {
        assert!(Ledger::default().is_due(KIND, "b", 1, Some(version("7")), Instant::now()));
    }

    #[test]
    fn what_is_as_it_was_left_is_not_due() {
        let now = Instant::now();
        let mut ledger = created(now);
        assert!(!ledger.is_due(KIND, "b", 1, Some(version("7")), now + LAG * 10));
    }

    #[test]
    fn what_is_rendered_differently_is_due() {
        let now = Instant::now();
        assert!(created(now).is_due(KIND, "b", 2, Some(version("7")), now));
    }

    #[test]
    fn what_somebody_changed_is_due_at_once() {
        let now = Instant::now();
        assert!(created(now).is_due(KIND, "b", 1, Some(version("8")), now));
    }

    #[test]
    fn a_watch_that_lags_is_given_time() {
        let now = Instant::now();
        let mut ledger = created(now);
        assert!(!ledger.is_due(KIND, "b", 1, None, now + Duration::from_secs(1)));
        assert!(ledger.is_due(KIND, "b", 1, None, now + LAG));
    }

    #[test]
    fn what_was_seen_and_then_deleted_is_due_at_once() {
        let now = Instant::now();
        let mut ledger = created(now);
        assert!(!ledger.is_due(KIND, "b", 1, Some(version("7")), now));
        assert!(ledger.is_due(KIND, "b", 1, None, now));
    }

    #[test]
    fn status_does_not_change_the_mark_of_a_kind_with_generation_and_labels_do() {
        let object = |version: &str, label: &str| {
            Mark::of(&ObjectMeta {
                generation: Some(3),
                resource_version: Some(version.to_owned()),
                labels: Some([("l".to_owned(), label.to_owned())].into()),
                ..ObjectMeta::default()
            })
        };
        assert_eq!(object("1", "a"), object("2", "a"));
        assert_ne!(object("1", "a"), object("1", "b"));
    }
}
