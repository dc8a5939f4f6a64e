//! What is known of one stream, and what follows from it.

use super::{REMOVALS, Stream};
use std::collections::BTreeMap;

/// For how long a loss is told.
const LATELY_MS: u64 = 60 * 60 * 1_000;

/// A stream as the function library tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// There is one.
    pub exists: bool,
    /// Something may be trimmed.
    pub due: bool,
    /// Entries in it.
    pub length: u64,
    /// Its consumer groups.
    pub groups: BTreeMap<String, Group>,
}

/// How far a consumer group is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Entries that it was handed and has not acknowledged.
    pub pending: u64,
    /// Entries that it has yet to be handed; `None`: the server cannot tell.
    pub lag: Option<u64>,
    /// Age of the oldest entry that it has not acknowledged, milliseconds; 0: there is none.
    pub age_ms: u64,
    /// Entries that were dropped before it had acknowledged them, ever.
    pub lost: u64,
}

/// What is to be done about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make this consumer group, which begins with all that the stream keeps.
    Create(String),
    /// Remove this consumer group.
    Remove(String),
    /// Drop what may go.
    Trim,
}

/// One stream over time. Times are milliseconds of one clock that never goes back.
#[derive(Clone, Debug)]
pub struct Watch {
    stream: Stream,
    /// What it was at the last look; `None`: it could not be looked at.
    backlog: Option<Backlog>,
    /// Groups that no service has, and since when that is known.
    strangers: BTreeMap<String, u64>,
    /// What the group of each service had lost at the last look.
    lost: BTreeMap<String, u64>,
    /// When that was seen to grow, where it was lately.
    grew: BTreeMap<String, u64>,
}

impl Watch {
    /// Nothing is known of the stream yet.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            backlog: None,
            strangers: BTreeMap::new(),
            lost: BTreeMap::new(),
            grew: BTreeMap::new(),
        }
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Goes by what the contract says of the stream from now on.
    pub fn follow(&mut self, stream: Stream) {
        self.stream = stream;
    }

    /// Takes note of a look.
    pub fn saw(&mut self, backlog: Backlog, now_ms: u64) {
        let (own, strangers): (Vec<_>, Vec<_>) = backlog
            .groups
            .iter()
            .partition(|(name, _)| self.stream.services.contains(*name));
        self.strangers = strangers
            .into_iter()
            .map(|(name, _)| {
                let since = self.strangers.get(name).copied();
                (name.clone(), since.unwrap_or(now_ms))
            })
            .collect();
        let lost: BTreeMap<String, u64> = own
            .into_iter()
            .map(|(name, group)| (name.clone(), group.lost))
            .collect();
        for (name, lost) in &lost {
            // Of what was lost before the first look nobody knows when.
            if self.lost.get(name).is_some_and(|before| before < lost) {
                self.grew.insert(name.clone(), now_ms);
            }
        }
        self.grew
            .retain(|name, at| lost.contains_key(name) && now_ms.saturating_sub(*at) < LATELY_MS);
        self.lost = lost;
        self.backlog = Some(backlog);
    }

    /// It could not be looked at: what was seen before says nothing any more.
    pub fn saw_nothing(&mut self) {
        self.backlog = None;
    }

    /// What is to be done, in this order. Of many groups to be removed, the rest is left to later looks.
    #[must_use]
    pub fn steps(&self, forget_after_ms: u64, now_ms: u64) -> Vec<Step> {
        let Some(backlog) = self.backlog.as_ref().filter(|backlog| backlog.exists) else {
            return Vec::new();
        };
        let services = self.stream.services.iter();
        let missing = services.filter(|service| !backlog.groups.contains_key(*service));
        let forgotten = self
            .strangers
            .iter()
            .filter(|(_, since)| now_ms.saturating_sub(**since) >= forget_after_ms);
        // A group holds nothing back before it is there.
        let mut steps: Vec<Step> = missing.cloned().map(Step::Create).collect();
        let removed = forgotten.take(REMOVALS);
        steps.extend(removed.map(|(name, _)| Step::Remove(name.clone())));
        steps.extend(backlog.due.then_some(Step::Trim));
        steps
    }

    /// Entries in the stream; `None`: it could not be looked at.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.backlog.as_ref().map(|backlog| backlog.length)
    }

    /// How far the group of each service is, where it has one. What others have made has no bounds and is left out.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        let groups = self.backlog.iter().flat_map(|backlog| &backlog.groups);
        let own = groups.filter(|(name, _)| self.stream.services.contains(*name));
        own.map(|(name, group)| (name.as_str(), group))
    }

    /// Services with an unacknowledged event that is older than events are kept.
    #[must_use]
    pub fn behind(&self) -> Vec<&str> {
        let retention = self.stream.retention_ms;
        let behind = self.groups().filter(|(_, group)| group.age_ms > retention);
        behind.map(|(name, _)| name).collect()
    }

    /// Services of which events were dropped lately that they had not acknowledged.
    #[must_use]
    pub fn losing(&self) -> Vec<&str> {
        self.grew.keys().map(String::as_str).collect()
    }
}
