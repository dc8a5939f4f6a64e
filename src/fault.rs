//! Named points at which the process can be made to end, so that tests see what a crash leaves behind at each of them.

use clap::ValueEnum;
use std::io::{self, Write};
use std::sync::OnceLock;

/// A point in the life of a bus, in the order in which one that comes to life passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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

/// Exit code as of an abort. A real one would end differently in a container, where the kernel shields PID 1 from it.
const ABORTED: i32 = 134;

static ARMED: OnceLock<FaultPoint> = OnceLock::new();

/// Makes the process end at this point.
pub fn arm(point: Option<FaultPoint>) {
    if let Some(point) = point {
        ARMED.get_or_init(|| point);
    }
}

/// Ends the process on the spot if this is the point: nothing is finished, nothing is given back.
pub fn point(here: FaultPoint) {
    if ARMED.get() == Some(&here) {
        tracing::error!(point = ?here, "fault point reached");
        std::process::exit(ABORTED);
    }
}

/// Writes the name of each point on a line.
pub fn list(out: &mut impl Write) -> io::Result<()> {
    for point in FaultPoint::value_variants() {
        if let Some(value) = point.to_possible_value() {
            writeln!(out, "{}", value.get_name())?;
        }
    }
    Ok(())
}
