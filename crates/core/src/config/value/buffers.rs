//! `client-output-buffer-limit`: limits for each class of client.

use super::bytes;
use std::fmt;

/// The limits of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Limit {
    /// Bytes at which a client is disconnected at once.
    pub hard: u64,
    /// Bytes at which it is after `seconds`.
    pub soft: u64,
    /// Seconds that it may stay above `soft`.
    pub seconds: u64,
}

/// The limits of the classes that a text names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct Limits {
    pub normal: Option<Limit>,
    pub replica: Option<Limit>,
    pub pubsub: Option<Limit>,
}

impl Limits {
    pub(in crate::config) fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (groups, rest) = words.as_chunks::<4>();
        if groups.is_empty() || !rest.is_empty() {
            return None;
        }
        let mut limits = Self::default();
        for [class, hard, soft, seconds] in groups {
            let slot = match class.to_ascii_lowercase().as_str() {
                "normal" => &mut limits.normal,
                "replica" | "slave" => &mut limits.replica,
                "pubsub" => &mut limits.pubsub,
                _ => return None,
            };
            *slot = Some(Limit::parse(hard, soft, seconds)?);
        }
        Some(limits)
    }
}

impl Limit {
    fn parse(hard: &str, soft: &str, seconds: &str) -> Option<Self> {
        Some(Self {
            hard: bytes::parse(hard)?,
            soft: bytes::parse(soft)?,
            seconds: seconds.parse::<u32>().ok()?.into(),
        })
    }
}

impl fmt::Display for Limits {
    /// As `CONFIG GET` prints it; `slave` is what every engine still calls the class there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = [
            ("normal", self.normal),
            ("slave", self.replica),
            ("pubsub", self.pubsub),
        ];
        let groups: Vec<String> = classes
            .into_iter()
            .filter_map(|(class, limit)| {
                let Limit {
                    hard,
                    soft,
                    seconds,
                } = limit?;
                Some(format!("{class} {hard} {soft} {seconds}"))
            })
            .collect();
        f.write_str(&groups.join(" "))
    }
}

/// `wanted` over `base`: a class that is not named keeps its limits.
pub(in crate::config) fn merge(base: Limits, wanted: Limits) -> Limits {
    Limits {
        normal: wanted.normal.or(base.normal),
        replica: wanted.replica.or(base.replica),
        pubsub: wanted.pubsub.or(base.pubsub),
    }
}
