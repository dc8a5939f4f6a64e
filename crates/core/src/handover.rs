//! How the agent of the pod that leads hands the lead to a replica, by telling the Sentinels itself or, where they do not take that
//! up, by the failover of one of them: whether it may, to whom ([`judge`]), and in which order ([`Handover`]). All of it pure; the
//! agent carries it out and says what came of each step.
//!
//! The rules that no acknowledged write and no second primary may fall through:
//! - the server that leads stops leading before another begins, so that its offset stands still;
//! - none begins while a third one leads;
//! - the other begins only at that very offset, and only while a majority of Sentinels still names the old one;
//! - a new lead that no majority has confirmed is given back the same way, or not at all;
//! - a Sentinel, which chooses by itself, is asked only where each that it may choose is at that offset, and the old one leads again
//!   only when the Sentinel has given up and nobody else leads.
//!
//! So correctness does not rest on how long clients are held: they are held to spare them errors, not to keep their writes out.

mod judge;
mod order;
mod rivals;
mod steps;

pub use judge::{
    Choice, Copy, Own, Scene, Stance, heard_enough, judge, still_reading, still_wanted,
};
pub use order::judge_order;
pub use rivals::{FIRST_CHOICE, Known, hindmost, others, promotes};
pub use steps::{Handover, Seen, Side, Step};

use std::time::Duration;

/// Stable reasons for which a handover is refused or fails, besides those of [`crate::seal::refusal`] and of failed calls.
pub mod refusal {
    /// The pod does not lead.
    pub const NOT_LEADING: &str = "NotLeading";
    /// No majority of the configured Sentinels answers and names the pod.
    pub const NO_MAJORITY: &str = "NoMajority";
    /// Another data pod leads as well: whoever made it lead has not told the Sentinels.
    pub const ANOTHER_LEADS: &str = "AnotherLeads";
    /// A Sentinel carries out a failover.
    pub const FAILOVER_RUNNING: &str = "FailoverRunning";
    /// No replica is fit to lead.
    pub const NO_CANDIDATE: &str = "NoCandidate";
    /// The replica that was asked for is not in sync, or not known to be. No write was held for that: it may be asked again soon.
    pub const NOT_YET_IN_SYNC: &str = "NotYetInSync";
    /// With writes held, a replica was not in sync or did not come so.
    pub const NOT_IN_SYNC: &str = "NotInSync";
    /// The chosen replica may lead or not: it did not answer any more. Sentinels decide.
    pub const CANDIDATE_LOST: &str = "CandidateLost";
    /// No majority of Sentinels took the new primary up.
    pub const NOT_CONFIRMED: &str = "NotConfirmed";
    /// A Sentinel that was asked to fail over did not begin: no replica is fit by what it knows.
    pub const FAILOVER_REFUSED: &str = "FailoverRefused";
    /// A Sentinel that was asked to fail over promoted nobody in time.
    pub const NOT_PROMOTED: &str = "NotPromoted";
}

/// How long the parts of a handover may take, from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The replica has come in sync.
    pub catch_up: Duration,
    /// A majority of Sentinels has taken the new primary up.
    pub whole: Duration,
    /// Undoing, from the failure on.
    pub undo: Duration,
    /// A node or Sentinel has answered; one that has not by then is silent.
    pub answer: Duration,
    /// The same for those who can be done without, where others wait for them: [`heard_enough`].
    pub grace: Duration,
    /// A Sentinel that does its own failover has promoted a replica; as long again, and a majority names it.
    pub failover: Duration,
    /// A Sentinel has heard whom it is to prefer.
    pub heard: Duration,
}

/// Longest that a handover takes, undoing included, before the old primary is released. Sentinels' hellos to a held server
/// wait too, so it is well below what they wait before they hold it for down.
const WHOLE: Duration = Duration::from_secs(3);

/// A Sentinel promotes 0.2 s after it was asked, and sees what came of it a second later, however long it waits for those who are
/// down. The old primary follows meanwhile: nothing hangs on how long its clients are held, which they are for less.
const FAILOVER: Duration = Duration::from_secs(2);

/// A Sentinel asks each replica every 10 s how it is, and a busy one does so late. Writes are taken meanwhile.
const HEARD: Duration = Duration::from_secs(15);

impl Limits {
    /// The limits of a bus whose Sentinels wait for this long.
    #[must_use]
    pub fn of(down_after: Duration) -> Self {
        let whole = WHOLE.min(down_after * 3 / 5);
        Self {
            catch_up: whole / 3,
            whole,
            undo: whole / 3,
            answer: whole / 3,
            grace: whole / 10,
            failover: FAILOVER,
            heard: HEARD,
        }
    }

    /// How long clients' writes are held at most.
    #[must_use]
    pub fn held(&self) -> Duration {
        self.whole + self.undo
    }
}
