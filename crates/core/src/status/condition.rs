//! Conditions: one for each concern, and [`kind::READY`] for all of them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Types of conditions.
pub mod kind {
    /// The spec can be carried out.
    pub const VALID: &str = "Valid";
    /// There is a primary that takes writes.
    pub const AVAILABLE: &str = "Available";
    /// Every replica is in sync with the primary.
    pub const REPLICATION_HEALTHY: &str = "ReplicationHealthy";
    /// Enough Sentinels, each knowing all that answer and every replica, agree on the primary.
    pub const SENTINEL_QUORUM: &str = "SentinelQuorum";
    /// Live users of every node are those of the contract.
    pub const USERS_IN_SYNC: &str = "UsersInSync";
    /// Live settings of every data node are those of the spec, as far as they can be set live.
    pub const CONFIGURATION_IN_SYNC: &str = "ConfigurationInSync";
    /// Every node serves the bus's certificate.
    pub const TLS_READY: &str = "TLSReady";
    /// Every pod is there, is ready, and runs what the spec asks for.
    pub const ROLLOUT_COMPLETE: &str = "RolloutComplete";
    /// All of the above.
    pub const READY: &str = "Ready";
    /// The last backup is whole. Absent unless the spec asks for backups; no part of `Ready`.
    pub const BACKED_UP: &str = "BackedUp";
    /// The operator leaves the bus as it is. Absent unless the spec asks for it; no part of `Ready`.
    pub const PAUSED: &str = "Paused";
    /// All pods have been stopped. Absent unless the spec asks for it.
    pub const HIBERNATED: &str = "Hibernated";
    /// No pod was ended for want of memory lately. Absent unless one was; a warning: no part of `Ready`.
    pub const MEMORY_SUFFICIENT: &str = "MemorySufficient";
    /// No volume holds files that were set aside since the server could not read them. Absent unless one does; a warning: no part
    /// of `Ready`.
    pub const FILES_READABLE: &str = "FilesReadable";
    /// The primary serves the function library. Absent until its agent has looked; a warning: no part of `Ready`.
    pub const FUNCTIONS_LOADED: &str = "FunctionsLoaded";
    /// Full memory takes no event that is kept until it is acknowledged. Absent unless the spec lets it; a warning: no part of `Ready`.
    pub const DURABLE_EVENTS_SAFE: &str = "DurableEventsSafe";
    /// No consumer of a durable channel lags behind for longer than events are kept, or has lost any lately. Absent until the primary's
    /// agent has looked, and without such channels; a warning: no part of `Ready`.
    pub const EVENTS_CONSUMED: &str = "EventsConsumed";
    /// No engine has a known critical security hole. A warning: no part of `Ready`.
    pub const ENGINE_UP_TO_DATE: &str = "EngineUpToDate";
}

/// Reason of what is not so because the bus is hibernated.
pub const HIBERNATED: &str = "Hibernated";

/// What was found on one concern.
pub struct Finding {
    kind: &'static str,
    status: &'static str,
    reason: String,
    message: String,
}

impl Finding {
    /// All is well.
    pub fn good(kind: &'static str, reason: &str, message: String) -> Self {
        Self::new(kind, "True", reason, message)
    }

    /// Something is wrong.
    pub fn bad(kind: &'static str, reason: &str, message: String) -> Self {
        Self::new(kind, "False", reason, message)
    }

    /// Nobody is there who could say it.
    pub fn asleep(kind: &'static str) -> Self {
        let message = "the bus is hibernated".to_owned();
        Self::new(kind, "Unknown", HIBERNATED, message)
    }

    /// Nobody who could say it answers.
    pub fn unknown(kind: &'static str) -> Self {
        let message = "no pod that could tell answers".to_owned();
        Self::new(kind, "Unknown", "NothingReported", message)
    }

    /// It has yet to turn out.
    pub fn undecided(kind: &'static str, reason: &str, message: String) -> Self {
        Self::new(kind, "Unknown", reason, message)
    }

    fn new(kind: &'static str, status: &'static str, reason: &str, message: String) -> Self {
        Self {
            kind,
            status,
            reason: reason.to_owned(),
            message,
        }
    }
}

/// `Ready`: the first finding that is not good says why it is not.
pub fn ready(findings: &[Finding], summary: String) -> Finding {
    match findings.iter().find(|finding| finding.status != "True") {
        Some(first) => Finding::bad(kind::READY, &first.reason, first.message.clone()),
        None => Finding::good(kind::READY, "Ready", summary),
    }
}

/// Turns findings into conditions.
pub struct Reporter<'a> {
    pub previous: &'a [Condition],
    pub generation: i64,
    pub now: Time,
}

impl Reporter<'_> {
    pub fn conditions(&self, findings: Vec<Finding>) -> Vec<Condition> {
        findings
            .into_iter()
            .map(|finding| self.condition(finding))
            .collect()
    }

    /// Puts a finding in the place of the condition of its type.
    pub fn replace(&self, conditions: &mut Vec<Condition>, finding: Finding) {
        let condition = self.condition(finding);
        match conditions
            .iter_mut()
            .find(|known| known.type_ == condition.type_)
        {
            Some(known) => *known = condition,
            None => conditions.push(condition),
        }
    }

    fn condition(&self, finding: Finding) -> Condition {
        let since = self
            .previous
            .iter()
            .find(|known| known.type_ == finding.kind && known.status == finding.status)
            .map(|known| known.last_transition_time.clone());
        Condition {
            last_transition_time: since.unwrap_or_else(|| self.now.clone()),
            message: finding.message,
            observed_generation: Some(self.generation),
            reason: finding.reason,
            status: finding.status.to_owned(),
            type_: finding.kind.to_owned(),
        }
    }
}
