//! Telling of a lasting trouble once.

use crate::error::AgentError;

/// What keeps failing each time round. It is told when it begins, when it becomes another, and when it is over.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Option<&'static str>);

impl Trouble {
    /// It is there, still or anew.
    pub(crate) fn is(&mut self, what: &'static str, error: &AgentError) {
        let reason = error.reason();
        if self.0 != Some(reason) {
            tracing::warn!(%error, reason, "{what}");
            self.0 = Some(reason);
        }
    }

    /// It is not there, or not any more.
    pub(crate) fn is_over(&mut self, what: &'static str) {
        if let Some(reason) = self.0.take() {
            tracing::info!(reason, "over: {what}");
        }
    }
}
