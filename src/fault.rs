//! Named points at which the process can be made to end, so that tests see what a crash leaves behind at each of them.
//!
//! Only a build with the feature `fault-points` can be: the lab's. In what ships, no flag and no variable ends the operator.

#[cfg(feature = "fault-points")]
mod armed;

#[cfg(feature = "fault-points")]
pub use armed::{arm, list, point};

/// A point in the life of a bus, in the order in which one that comes to life passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "fault-points", derive(clap::ValueEnum))]
pub enum FaultPoint {
    /// Passwords have been drawn, none has been stored.
    PasswordsSettled,
    /// The Secret with every password and a copy of the authority is stored, nothing else.
    CredentialsStored,
    /// The authority has its own Secret, and nothing that it signed is stored.
    AuthorityStored,
    /// The serving certificate is stored.
    ServingCertificateStored,
    /// The operator's client certificate is stored.
    OperatorCertificateStored,
    /// The passwords that data pods mount are stored.
    RedisAuthStored,
    /// The passwords that Sentinel pods mount are stored.
    SentinelAuthStored,
    /// The ACL files are stored.
    AclStored,
    /// The Secret of a service is stored.
    BindingStored,
    /// What pods need besides Secrets exists: configuration, Services, accounts, policies.
    SurroundingsApplied,
    /// The pods are asked for, and where the Services lead is written.
    PodsApplied,
    /// Everything has been seen, nothing done.
    Planned,
    /// An intent is about to be recorded.
    BeforeRecord,
    /// An intent is recorded and nothing has followed from it.
    AfterRecord,
    /// A pod is about to be told to lead.
    BeforeLead,
    /// A pod leads and nobody knows.
    AfterLead,
    /// A pod is about to be told whom to follow.
    BeforeFollow,
    /// A pod follows.
    AfterFollow,
    /// A Sentinel is about to be told the primary.
    BeforeMonitor,
    /// A Sentinel knows the primary, the others may not.
    AfterMonitor,
    /// The lead is about to be handed over.
    BeforeHandover,
    /// The lead has been handed over, or the agent failed at it, and nobody knows.
    AfterHandover,
    /// A pod is about to be deleted, to be made anew.
    BeforeRestart,
    /// A pod is deleted, and its successor is not there.
    AfterRestart,
    /// A role label has been written.
    AfterLabel,
    /// The status is about to be written.
    BeforeStatus,
    /// The status is written and its Events are not.
    AfterStatus,
}

/// Passes the point: this build cannot be made to end.
#[cfg(not(feature = "fault-points"))]
pub fn point(_here: FaultPoint) {}
