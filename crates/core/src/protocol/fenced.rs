//! A primary that refuses writes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a primary refuses writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fenced {
    /// For the fencing window no majority of Sentinels answered it, and not every replica acknowledges to it.
    Isolated,
    /// Sentinels name this pod, or are about to.
    Outvoted(String),
    /// A Sentinel is making another the primary.
    FailingOver,
    /// What this version has no word for.
    Unknown,
}

impl fmt::Display for Fenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Isolated => f.write_str(
                "no majority of Sentinels answers it, and not every replica acknowledges",
            ),
            Self::Outvoted(pod) => write!(f, "Sentinels name {pod}"),
            Self::FailingOver => f.write_str("a Sentinel is making another the primary"),
            Self::Unknown => f.write_str("its agent says why in words of another version"),
        }
    }
}
