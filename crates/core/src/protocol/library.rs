//! The function library of a primary.

use serde::{Deserialize, Serialize};

/// The function library as a primary serves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LibraryStatus {
    /// Version that it names; `None`: there is none, or it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why the server has not taken the agent's, where it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedLibrary>,
}

/// Why a server does not take the library.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RefusedLibrary {
    /// Stable, one word: one of [`crate::functions::refusal`].
    pub reason: String,
    /// What the server said.
    pub message: String,
}
