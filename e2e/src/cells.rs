//! Cells of the contract's matrix: one attempt each, and what has to come of it.

use serde::{Deserialize, Serialize};

/// By which way a command reaches a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// To the primary, through its Service.
    Service,
    /// To the primary, found by asking the Sentinels.
    ThroughSentinel,
    /// To a Sentinel itself.
    Sentinel,
}

/// What has to come of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// It is allowed.
    Granted,
    /// `NOPERM`, for whatever reason.
    Denied,
    /// The command is the user's, whatever comes of the arguments.
    CommandGranted,
    /// `NOPERM` for the command itself, on whatever key.
    CommandDenied,
}

/// What the server said of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was allowed; it may still have failed on its arguments.
    Granted,
    /// `NOPERM` for the command itself.
    CommandDenied,
    /// `NOPERM` for a key or a channel.
    ArgumentDenied,
    /// The server has switched the command off for everybody, whatever the rights.
    SwitchedOff,
    /// The connection failed, or ended before an answer came.
    Lost,
}

/// One attempt, and what has to come of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// What it is an attempt at, for people: `keyspace agent`.
    pub about: String,
    /// By which way.
    pub way: Way,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// What has to come of it.
    pub expected: Expected,
}

/// An attempt of which something else came than had to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Surprise {
    /// The attempt.
    pub cell: Cell,
    /// What the server said of it.
    pub got: Verdict,
    /// The server's words.
    pub words: String,
}

/// What came of a walk through the matrix.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Walk {
    /// Attempts made.
    pub attempts: usize,
    /// Attempts that were allowed.
    pub granted: usize,
    /// Attempts of which something else came than had to.
    pub surprises: Vec<Surprise>,
}

impl Expected {
    /// Whether this is what had to come.
    #[must_use]
    pub fn is_met_by(self, got: Verdict) -> bool {
        match self {
            Self::Granted => got == Verdict::Granted,
            Self::Denied => matches!(
                got,
                Verdict::CommandDenied | Verdict::ArgumentDenied | Verdict::SwitchedOff
            ),
            Self::CommandGranted => matches!(got, Verdict::Granted | Verdict::ArgumentDenied),
            Self::CommandDenied => matches!(got, Verdict::CommandDenied | Verdict::SwitchedOff),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_key_does_not_pass_for_a_denied_command() {
        assert!(Expected::Denied.is_met_by(Verdict::ArgumentDenied));
        assert!(!Expected::CommandDenied.is_met_by(Verdict::ArgumentDenied));
        assert!(Expected::CommandGranted.is_met_by(Verdict::ArgumentDenied));
    }

    #[test]
    fn a_lost_connection_meets_nothing() {
        for expected in [
            Expected::Granted,
            Expected::Denied,
            Expected::CommandGranted,
            Expected::CommandDenied,
        ] {
            assert!(!expected.is_met_by(Verdict::Lost));
        }
    }
}
