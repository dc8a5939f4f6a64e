//! In which order the lead is handed over, and how that is undone.

use super::{Choice, Limits, refusal, refuse};
use crate::protocol::{HandoverOutcome, Refusal};
use std::time::Duration;

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one whose lead is handed over.
    Own,
    /// The chosen one.
    Chosen,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Hold the writes of the own server's clients. Answered by [`Seen::Done`].
    Hold,
    /// Ask both servers for their offsets, and the Sentinels whom they name. Answered by [`Seen::Offsets`].
    Compare,
    /// Have this server follow the other one. Answered by [`Seen::Done`].
    Demote(Side),
    /// Have this server lead. Answered by [`Seen::Done`].
    Promote(Side),
    /// Ask the chosen server whether it leads. Answered by [`Seen::Leads`].
    Ask,
    /// Tell every Sentinel that this side leads since that epoch, and ask whom each names then. Answered by [`Seen::Named`].
    Announce(Side, u64),
    /// Let held clients go on: they learn from the server who it is, and look for the primary anew.
    Release,
    /// Have the other replicas follow the chosen server.
    Gather,
    /// It is over.
    End(HandoverOutcome),
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was done.
    Done,
    /// It failed; whether it took effect is unknown.
    Failed(Refusal),
    /// Offsets of both servers, and whether [`super::still_wanted`].
    Offsets {
        /// Of the own server.
        own: u64,
        /// Of the chosen one.
        chosen: u64,
        /// What Sentinels say against it.
        wanted: Result<(), Refusal>,
    },
    /// Whether the chosen server leads.
    Leads(bool),
    /// How many Sentinels name the one that was announced.
    Named(usize),
}

/// Where a handover is: what is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begun,
    Holding,
    CatchingUp,
    Demoting,
    Draining,
    Promoting,
    Asking,
    /// After a crash the others come to the chosen one first: it may need one of them to take writes.
    Rallying,
    Announcing,
    Releasing,
    Gathering,
    /// The chosen one follows again.
    Returning,
    /// The own server catches up with what the chosen one may have taken.
    ComingBack,
    /// The own server leads again.
    Restoring,
    /// Sentinels are told so.
    Recanting,
    /// The chosen one leads after all.
    Keeping,
}

/// A handover under way.
#[derive(Clone, Debug)]
pub struct Handover {
    choice: Choice,
    /// The own server has ended: nothing is held, demoted or restored.
    crashed: bool,
    limits: Limits,
    stage: Stage,
    announced: bool,
    failure: Option<(Refusal, Duration)>,
    write_gap: Duration,
}

impl Handover {
    /// A handover that has been judged.
    #[must_use]
    pub fn new(choice: Choice, crashed: bool, limits: Limits) -> Self {
        Self {
            choice,
            crashed,
            limits,
            stage: Stage::Begun,
            announced: false,
            failure: None,
            write_gap: Duration::ZERO,
        }
    }

    /// The first step.
    pub fn begin(&mut self) -> Step {
        if self.crashed {
            self.to(Stage::Promoting, Step::Promote(Side::Chosen))
        } else {
            self.to(Stage::Holding, Step::Hold)
        }
    }

    /// The step after one of which this came. `elapsed`: since no write was taken any more.
    pub fn next(&mut self, seen: Seen, elapsed: Duration) -> Step {
        match self.stage {
            Stage::Begun => self.begin(),
            Stage::Holding => match seen {
                Seen::Failed(why) => self.fail(why, elapsed, Self::release),
                _ => self.to(Stage::CatchingUp, Step::Compare),
            },
            Stage::CatchingUp => match equal(seen) {
                Ok(true) => self.to(Stage::Demoting, Step::Demote(Side::Own)),
                Ok(false) if elapsed < self.limits.catch_up => Step::Compare,
                Ok(false) => {
                    let why = self.not_in_sync();
                    self.fail(why, elapsed, Self::release)
                }
                Err(why) => self.fail(why, elapsed, Self::release),
            },
            Stage::Demoting => match seen {
                Seen::Failed(why) => self.fail(why, elapsed, Self::restore),
                _ => self.to(Stage::Draining, Step::Compare),
            },
            // What came between the last look and the demotion stands still now, and has to arrive too.
            Stage::Draining => match equal(seen) {
                Ok(true) => self.to(Stage::Promoting, Step::Promote(Side::Chosen)),
                Ok(false) if elapsed < self.limits.catch_up * 2 => Step::Compare,
                Ok(false) => {
                    let why = self.not_in_sync();
                    self.fail(why, elapsed, Self::restore)
                }
                Err(why) => self.fail(why, elapsed, Self::restore),
            },
            Stage::Promoting => match seen {
                Seen::Failed(_) => self.to(Stage::Asking, Step::Ask),
                _ => self.promoted(),
            },
            Stage::Asking => self.asked(&seen, elapsed),
            Stage::Rallying => self.announce(),
            Stage::Announcing => match seen {
                Seen::Named(count) if count >= self.choice.majority => {
                    self.write_gap = elapsed;
                    self.release()
                }
                _ if elapsed < self.limits.whole => self.announce(),
                _ => self.fail(not_confirmed(), elapsed, Self::give_back),
            },
            Stage::Releasing | Stage::Gathering => self.close(),
            Stage::Returning
            | Stage::ComingBack
            | Stage::Restoring
            | Stage::Recanting
            | Stage::Keeping => self.undo(&seen, elapsed),
        }
    }

    /// Whether the chosen server leads is what decides which way to go; nobody leads while that is unknown.
    fn asked(&mut self, seen: &Seen, elapsed: Duration) -> Step {
        match seen {
            Seen::Leads(true) => self.promoted(),
            Seen::Leads(false) => {
                let why = refuse(
                    refusal::CANDIDATE_LOST,
                    format!("{} did not take the lead", self.choice.to),
                );
                self.fail(why, elapsed, Self::restore)
            }
            _ if elapsed < self.limits.whole => Step::Ask,
            _ => {
                let why = refuse(
                    refusal::CANDIDATE_LOST,
                    format!(
                        "{} was told to lead and answers no more; nobody leads until Sentinels decide",
                        self.choice.to
                    ),
                );
                self.fail(why, elapsed, Self::release)
            }
        }
    }

    /// Steps back to where the lead was.
    fn undo(&mut self, seen: &Seen, elapsed: Duration) -> Step {
        let failed = matches!(seen, Seen::Failed(_));
        let since = self.failure.as_ref().map_or(elapsed, |(_, at)| *at);
        let patient = elapsed < since + self.limits.undo;
        match self.stage {
            Stage::Returning if failed && patient => Step::Demote(Side::Chosen),
            Stage::Returning if failed => self.release(),
            Stage::Returning if self.crashed => self.recant(),
            Stage::Returning => self.to(Stage::ComingBack, Step::Compare),
            Stage::ComingBack => match seen {
                Seen::Offsets { own, chosen, .. } if own == chosen => self.restore(),
                _ if patient => Step::Compare,
                // It may have taken writes that are nowhere else.
                _ => self.to(Stage::Keeping, Step::Promote(Side::Chosen)),
            },
            Stage::Restoring if failed && patient => Step::Promote(Side::Own),
            Stage::Restoring if self.announced && !failed => self.recant(),
            _ => self.release(),
        }
    }

    fn to(&mut self, stage: Stage, step: Step) -> Step {
        self.stage = stage;
        step
    }

    fn promoted(&mut self) -> Step {
        if self.crashed {
            return self.to(Stage::Rallying, Step::Gather);
        }
        self.announce()
    }

    fn announce(&mut self) -> Step {
        self.announced = true;
        let epoch = self.choice.epoch;
        self.to(Stage::Announcing, Step::Announce(Side::Chosen, epoch))
    }

    fn fail(&mut self, why: Refusal, at: Duration, then: impl Fn(&mut Self) -> Step) -> Step {
        self.failure = Some((why, at));
        then(self)
    }

    fn give_back(&mut self) -> Step {
        self.to(Stage::Returning, Step::Demote(Side::Chosen))
    }

    fn restore(&mut self) -> Step {
        if self.crashed {
            return self.release();
        }
        self.to(Stage::Restoring, Step::Promote(Side::Own))
    }

    fn recant(&mut self) -> Step {
        let epoch = self.choice.epoch + 1;
        self.to(Stage::Recanting, Step::Announce(Side::Own, epoch))
    }

    fn release(&mut self) -> Step {
        if self.crashed {
            return self.close();
        }
        self.to(Stage::Releasing, Step::Release)
    }

    fn close(&mut self) -> Step {
        match (&self.failure, self.stage) {
            (Some((why, _)), _) => Step::End(HandoverOutcome::Failed(why.clone())),
            (None, stage) if self.crashed || stage == Stage::Gathering => {
                Step::End(HandoverOutcome::Done {
                    write_gap_ms: u64::try_from(self.write_gap.as_millis()).unwrap_or(u64::MAX),
                })
            }
            (None, _) => self.to(Stage::Gathering, Step::Gather),
        }
    }

    fn not_in_sync(&self) -> Refusal {
        let message = format!("{} did not come in sync in time", self.choice.to);
        refuse(refusal::NOT_IN_SYNC, message)
    }
}

/// Whether both have the same, or why that is of no use.
fn equal(seen: Seen) -> Result<bool, Refusal> {
    match seen {
        Seen::Offsets {
            wanted: Err(why), ..
        }
        | Seen::Failed(why) => Err(why),
        Seen::Offsets { own, chosen, .. } => Ok(own == chosen),
        Seen::Done | Seen::Leads(_) | Seen::Named(_) => Ok(false),
    }
}

fn not_confirmed() -> Refusal {
    refuse(
        refusal::NOT_CONFIRMED,
        "no majority of Sentinels took the new primary up in time",
    )
}
