//! Whether Sentinels could replace the primary.

use super::condition::{Finding, kind};
use crate::config::agent_json;
use crate::plan::sentinels::unknown;
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
        let config = agent_json(view.bus);
        for pod in &view.sentinels {
            let Some(sentinel) = view.sentinel(pod) else {
                quorum.silent.push(pod.clone());
                continue;
            };
            let flaw = match (&sentinel.monitored, &view.topology.primary) {
                (_, None) => Some(("NoPrimary", "waits for a primary".to_owned())),
                (None, Some(primary)) => Some((
                    "NotMonitoring",
                    format!("does not know that {primary} is the primary"),
                )),
                (Some(monitored), Some(primary)) => {
                    let named = view.bus.names.data_pod_of_host(&monitored.host);
                    let strangers = unknown(view, primary, pod, monitored);
                    if named.as_deref() != Some(primary) {
                        Some(("SentinelDisagrees", format!("names {}", monitored.host)))
                    } else if monitored.down || monitored.failing_over {
                        Some((
                            "SentinelSeesPrimaryDown",
                            format!("holds {primary} for down"),
                        ))
                    } else if monitored.quorum != config.quorum
                        || monitored.settings != config.monitor
                    {
                        Some(("SettingsDiffer", "goes by other settings".to_owned()))
                    } else if strangers.is_empty() {
                        None
                    } else {
                        Some((
                            "SentinelUnacquainted",
                            format!("has not found {}", strangers.join(", ")),
                        ))
                    }
                }
            };
            match flaw {
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
        let needed = agent_json(view.bus).quorum;
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
