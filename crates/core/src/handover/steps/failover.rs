//! The way by a Sentinel's own failover, where a lead that was announced was not taken up and has been given back.
//!
//! It begins as the other one does, so that the old primary follows, and everybody whom the Sentinel may promote has all of its
//! data, before the Sentinel is asked. The old one leads again only when nobody else does and the Sentinel has forgotten its
//! failover.

use super::{Handover, Seen, Side, Step, Way, not_confirmed};
use crate::handover::refusal;
use crate::protocol::Refusal;
use std::time::Duration;

/// Where it is, besides the stages that both ways have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The Sentinel is looked for. Writes are taken. Since then nothing could be said.
    Picking { since: Duration },
    /// It is asked.
    Asking { since: Duration },
    /// Somebody is to lead.
    Waiting { since: Duration },
    /// Somebody does: the old one follows that one.
    Yielding { since: Duration },
    /// Sentinels are to name that one.
    Naming { since: Duration },
    /// Nobody has been promoted in time, and nobody is to be any more.
    Aborting,
    /// Nobody has been.
    Verifying,
}

impl Handover {
    /// Whether the other way is left, once the old server leads again and writes go on: it must be sure that they do, since a
    /// server that is held is one that Sentinels do not hear.
    pub(super) fn falls_back(&self, released: &Seen) -> bool {
        self.undone && self.way == Way::Announced && *released == Seen::Done
    }

    pub(super) fn fall_back(&mut self, elapsed: Duration) -> Step {
        self.way = Way::Failover;
        self.begun += elapsed;
        (self.announced, self.failure) = (false, None);
        let since = Duration::ZERO;
        self.at(Stage::Picking { since }, Step::Pick)
    }

    /// The old server follows, and all others have its data.
    pub(super) fn ask_sentinel(&mut self, elapsed: Duration) -> Step {
        self.at(Stage::Asking { since: elapsed }, Step::FailOver)
    }

    pub(super) fn fail_over(&mut self, stage: Stage, seen: Seen, elapsed: Duration) -> Step {
        let limit = self.limits.failover;
        let undo = self.failure.as_ref().map_or(elapsed, |(_, at)| *at) + self.limits.undo;
        match (stage, seen) {
            (Stage::Picking { since }, Seen::Failed(_)) if elapsed < since + limit => Step::Pick,
            (Stage::Picking { .. }, Seen::NotYet(_)) if elapsed < self.limits.heard => {
                self.at(Stage::Picking { since: elapsed }, Step::Pick)
            }
            (Stage::Picking { .. }, Seen::Failed(why) | Seen::NotYet(why)) => {
                self.fail(why, elapsed, Self::close)
            }
            (Stage::Picking { .. }, _) => {
                self.begun += elapsed;
                self.go(super::Stage::Holding, Step::Hold)
            }
            (Stage::Asking { .. }, Seen::Refused(why)) => self.fail(why, elapsed, Self::restore),
            (Stage::Asking { since }, _) => self.at(Stage::Waiting { since }, Step::Watch),
            (
                Stage::Waiting { .. } | Stage::Verifying,
                Seen::Watched {
                    leads: Some(pod), ..
                },
            ) => self.yield_to(pod, elapsed),
            (Stage::Waiting { since }, _) if elapsed < since + limit => Step::Watch,
            (Stage::Waiting { .. }, _) => self.fail(not_promoted(), elapsed, |handover| {
                handover.at(Stage::Aborting, Step::Abort)
            }),
            (Stage::Yielding { since }, Seen::Failed(_)) if elapsed < since + limit => {
                Step::Demote(Side::Own)
            }
            // Failed or not, it follows somebody, and Sentinels have it follow the right one.
            (Stage::Yielding { since }, _) => self.at(Stage::Naming { since }, Step::Watch),
            (Stage::Naming { .. }, Seen::Watched { named, .. })
                if named >= self.choice.majority =>
            {
                self.go(super::Stage::Backing, Step::Back)
            }
            (Stage::Naming { since }, _) if elapsed < since + limit => Step::Watch,
            (Stage::Naming { .. }, _) => {
                let mut why = not_confirmed();
                why.message = format!("{} leads, and {}", self.choice.to, why.message);
                self.fail(why, elapsed, Self::release)
            }
            (Stage::Aborting, Seen::Failed(_)) if elapsed < undo => Step::Abort,
            (Stage::Aborting, Seen::Failed(_)) => self.fail(lost(), elapsed, Self::release),
            (Stage::Aborting, _) => self.at(Stage::Verifying, Step::Watch),
            (Stage::Verifying, Seen::Watched { silent: false, .. }) => {
                self.fail(not_promoted(), elapsed, Self::restore)
            }
            (Stage::Verifying, _) if elapsed < undo => Step::Watch,
            (Stage::Verifying, _) => self.fail(lost(), elapsed, Self::release),
        }
    }

    /// Sentinels choose by themselves: whoever leads is the chosen one, and the old one takes no writes any more.
    fn yield_to(&mut self, pod: String, elapsed: Duration) -> Step {
        if pod != self.choice.to {
            self.choice.others.retain(|other| *other != pod);
            let before = std::mem::replace(&mut self.choice.to, pod);
            self.choice.others.push(before);
        }
        self.failure = None;
        self.at(Stage::Yielding { since: elapsed }, Step::Demote(Side::Own))
    }

    fn at(&mut self, stage: Stage, step: Step) -> Step {
        self.go(super::Stage::Failover(stage), step)
    }
}

fn not_promoted() -> Refusal {
    Refusal::new(
        refusal::NOT_PROMOTED,
        "the Sentinel that was asked to fail over has promoted nobody in time",
    )
}

fn lost() -> Refusal {
    Refusal::new(
        refusal::CANDIDATE_LOST,
        "a Sentinel was asked to fail over, and whether a replica leads cannot be told; nobody is made to until Sentinels decide",
    )
}
