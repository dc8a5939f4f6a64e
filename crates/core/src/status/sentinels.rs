//! Whether Sentinels could replace the primary.

use super::condition::{Finding, kind};
use crate::plan::health;
use crate::plan::view::View;

/// The Sentinels that should exist: how many agree on the primary and know one another, and what is wrong with the others
/// that answer.
pub struct Quorum {
    agreeing: u32,
    silent: Vec<String>,
    flaws: Vec<(&'static str, String)>,
}

impl Quorum {
    pub fn of(view: &View<'_>) -> Self {
        let mut quorum = Self {
            agreeing: 0,
            silent: Vec::new(),
            flaws: Vec::new(),
        };
        for pod in &view.sentinels {
            let Some(sentinel) = view.sentinel(pod) else {
                quorum.silent.push(pod.clone());
                continue;
            };
            match health::sentinel(view, pod, sentinel) {
                None => quorum.agreeing += 1,
                Some((reason, flaw)) => quorum.flaws.push((reason, format!("{pod} {flaw}"))),
            }
        }
        quorum
    }

    /// How many agree on the primary and know all others that answer.
    pub fn agreeing(&self) -> u32 {
        self.agreeing
    }

    pub fn finding(&self, view: &View<'_>) -> Finding {
        if let Some((reason, _)) = self.flaws.first() {
            let messages: Vec<&str> = self.flaws.iter().map(|(_, flaw)| flaw.as_str()).collect();
            return Finding::bad(kind::SENTINEL_QUORUM, reason, messages.join(", "));
        }
        let needed = view.quorum();
        if self.agreeing < needed {
            return Finding::bad(
                kind::SENTINEL_QUORUM,
                "TooFewSentinels",
                format!(
                    "{} do not answer: nobody could replace the primary",
                    self.silent.join(", ")
                ),
            );
        }
        let primary = view.topology.primary.as_deref().unwrap_or_default();
        Finding::good(
            kind::SENTINEL_QUORUM,
            "SentinelsAgree",
            format!("{} Sentinels watch {primary}", self.agreeing),
        )
    }
}
