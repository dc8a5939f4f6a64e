//! What a newer version says that this one has no word for.
//!
//! Agents are rolled by the operator, so each side meets reports and orders of the other's older and newer versions. Fields
//! that are new have a default, and fields that are not known are passed over. A word that is not known must not make the rest
//! unreadable: the operator would not hear the pod any more, and least of all replace it.

use super::{Fenced, FlushOutcome, HandoverCause, HandoverOutcome, Phase, Refusal};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// What has a word for what it does not know.
pub(super) trait Unknown: Sized {
    fn unknown() -> Self;
}

/// Reads what is known, and takes anything else for unknown.
pub(super) fn or_unknown<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Unknown,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said<T> {
        Known(T),
        Unknown(IgnoredAny),
    }
    Ok(match Said::deserialize(deserializer)? {
        Said::Known(known) => known,
        Said::Unknown(_) => T::unknown(),
    })
}

impl Unknown for Phase {
    fn unknown() -> Self {
        Self::Unknown
    }
}

impl Unknown for HandoverCause {
    fn unknown() -> Self {
        Self::Unknown
    }
}

/// It is not taken for one that runs: that would keep the operator from every change. An agent that is still at it refuses
/// orders by itself.
impl Unknown for HandoverOutcome {
    fn unknown() -> Self {
        Self::Failed(Refusal {
            reason: "Unknown".to_owned(),
            message: "its agent is of another version and says what this operator has no word for"
                .to_owned(),
        })
    }
}

/// It is waited for: an agent that goes on says so in the end.
impl Unknown for FlushOutcome {
    fn unknown() -> Self {
        Self::Unknown
    }
}

impl Unknown for Option<Fenced> {
    fn unknown() -> Self {
        Some(Fenced::Unknown)
    }
}
