//! In which order the lead is handed over, and how that is undone.

mod failover;

use super::{Choice, Limits, refusal};
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
    /// The same of all whom Sentinels may promote, the one that is [`super::hindmost`] standing for the chosen server.
    CompareAll,
    /// Have this server follow the other one. Answered by [`Seen::Done`].
    Demote(Side),
    /// Have this server lead; the own one's other replicas, which may have been called to the chosen one, come back to it. Answered by
    /// [`Seen::Done`].
    Promote(Side),
    /// Ask the chosen server whether it leads. Answered by [`Seen::Leads`].
    Ask,
    /// Tell every Sentinel that this side leads since that epoch, and ask whom each names then. Answered by [`Seen::Named`].
    Announce(Side, u64),
    /// Ask whether this server has those in its stream whose links ended when it began to lead: the chosen one the own server,
    /// the own one as many replicas as at first. Answered by [`Seen::Feeds`].
    Feeds(Side),
    /// Ask whether the chosen server has the replicas in sync without which it takes no writes. Answered by [`Seen::Backed`].
    Back,
    /// Have the others follow the chosen server now, and the own one come to it anew: it came before the chosen one led, and was
    /// told to come back a second later.
    Call,
    /// Let held clients go on: they learn from the server who it is, and look for the primary anew.
    Release,
    /// Have the other replicas follow the chosen server.
    Gather,
    /// Find the Sentinel that is to do its own failover: one that [`super::promotes`] whom it may. Answered by [`Seen::Done`], or
    /// [`Seen::NotYet`] where there is none.
    Pick,
    /// Have it do its own failover. Answered by [`Seen::Done`] or [`Seen::Refused`].
    FailOver,
    /// Ask every other data node whether it leads, and the Sentinels whether they name the one that does. Answered by
    /// [`Seen::Watched`].
    Watch,
    /// Have the Sentinel forget its failover. Answered by [`Seen::Done`].
    Abort,
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
    /// The Sentinel will not do its failover: no replica is fit.
    Refused(Refusal),
    /// No Sentinel would promote whom it is to, and one may when it has asked that one how it is.
    NotYet(Refusal),
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
    /// Whether they are.
    Feeds(bool),
    /// Whether it has.
    Backed(bool),
    /// What came of an announcement.
    Named {
        /// Sentinels that name the one that was announced.
        taken: usize,
        /// Those that answered and do not.
        declined: usize,
    },
    /// What the failover of a Sentinel has come to.
    Watched {
        /// The data pod that leads: the chosen one from now on, whoever that was.
        leads: Option<String>,
        /// Another data node did not say whether it leads.
        silent: bool,
        /// Sentinels that name the one that leads.
        named: usize,
    },
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
    /// The chosen one may take no writes without replicas: no client is sent there before it has them.
    Backing,
    Calling,
    Waiting,
    Announcing,
    Releasing,
    Gathering,
    /// The own server comes to the stream of the chosen one: of two that follow one another and are not linked neither takes the
    /// other in.
    Linking,
    /// The chosen one follows again.
    Returning,
    /// The own server catches up with what the chosen one may have taken.
    ComingBack,
    /// The own server leads again.
    Restoring,
    /// Sentinels are told so.
    Recanting,
    /// Its replicas come back to it: it may take no writes without them.
    Rejoining,
    /// The chosen one leads after all.
    Keeping,
    /// A stage of the way by a Sentinel's own failover.
    Failover(failover::Stage),
}

/// By which way Sentinels come to name another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// They are told.
    Announced,
    /// They did not take that up, and one of them does its own failover.
    Failover,
}

/// A handover under way.
#[derive(Clone, Debug)]
pub struct Handover {
    choice: Choice,
    /// The own server has ended: nothing is held, demoted or restored.
    crashed: bool,
    limits: Limits,
    stage: Stage,
    way: Way,
    /// When this way was begun.
    begun: Duration,
    announced: bool,
    /// A lead that was announced in vain is where it was.
    undone: bool,
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
            way: Way::Announced,
            begun: Duration::ZERO,
            announced: false,
            undone: false,
            failure: None,
            write_gap: Duration::ZERO,
        }
    }

    /// The data pod that is to lead: a Sentinel that does its own failover may have promoted another than was chosen.
    #[must_use]
    pub fn to(&self) -> &str {
        &self.choice.to
    }

    /// The first step.
    pub fn begin(&mut self) -> Step {
        if self.crashed {
            self.go(Stage::Promoting, Step::Promote(Side::Chosen))
        } else {
            self.go(Stage::Holding, Step::Hold)
        }
    }

    /// The step after one of which this came. `elapsed`: since no write was taken any more.
    pub fn next(&mut self, seen: Seen, elapsed: Duration) -> Step {
        let elapsed = elapsed.saturating_sub(self.begun);
        match self.stage {
            Stage::Begun => self.begin(),
            Stage::Holding => match seen {
                Seen::Failed(why) => self.fail(why, elapsed, Self::release),
                _ => self.go(Stage::CatchingUp, self.comparison()),
            },
            Stage::CatchingUp => match equal(seen) {
                Ok(true) => self.go(Stage::Demoting, Step::Demote(Side::Own)),
                Ok(false) if elapsed < self.limits.catch_up => self.comparison(),
                Ok(false) => {
                    let why = self.not_in_sync();
                    self.fail(why, elapsed, Self::release)
                }
                Err(why) => self.fail(why, elapsed, Self::release),
            },
            Stage::Demoting => match seen {
                Seen::Failed(why) => self.fail(why, elapsed, Self::restore),
                _ => self.go(Stage::Draining, self.comparison()),
            },
            // What came between the last look and the demotion stands still now, and has to arrive too.
            Stage::Draining => match equal(seen) {
                Ok(true) => self.promote(elapsed),
                Ok(false) if elapsed < self.limits.catch_up * 2 => self.comparison(),
                Ok(false) => {
                    let why = self.not_in_sync();
                    self.fail(why, elapsed, Self::restore)
                }
                Err(why) => self.fail(why, elapsed, Self::restore),
            },
            Stage::Promoting => match seen {
                Seen::Failed(_) => self.go(Stage::Asking, Step::Ask),
                _ => self.promoted(),
            },
            Stage::Asking => self.asked(&seen, elapsed),
            Stage::Rallying => self.announce(),
            Stage::Announcing => match seen {
                Seen::Named { taken, .. } if taken >= self.choice.majority => self.over(elapsed),
                Seen::Named { declined, .. } if declined >= self.choice.majority => {
                    self.fail(not_confirmed(), elapsed, Self::give_back)
                }
                _ if elapsed < self.limits.whole => self.announce(),
                _ => self.fail(not_confirmed(), elapsed, Self::give_back),
            },
            Stage::Backing | Stage::Waiting
                if seen == Seen::Backed(true) || elapsed >= self.backed_by() =>
            {
                self.backed(elapsed)
            }
            Stage::Backing => self.go(Stage::Calling, Step::Call),
            Stage::Calling | Stage::Waiting => self.go(Stage::Waiting, Step::Back),
            Stage::Releasing if self.falls_back(&seen) => self.fall_back(elapsed),
            Stage::Releasing | Stage::Gathering => self.close(),
            Stage::Failover(stage) => self.fail_over(stage, seen, elapsed),
            Stage::Linking
            | Stage::Returning
            | Stage::ComingBack
            | Stage::Restoring
            | Stage::Recanting
            | Stage::Rejoining
            | Stage::Keeping => self.undo(&seen, elapsed),
        }
    }

    /// Whether the chosen server leads is what decides which way to go; nobody leads while that is unknown.
    fn asked(&mut self, seen: &Seen, elapsed: Duration) -> Step {
        match seen {
            Seen::Leads(true) => self.promoted(),
            Seen::Leads(false) => {
                let why = Refusal::new(
                    refusal::CANDIDATE_LOST,
                    format!("{} did not take the lead", self.choice.to),
                );
                self.fail(why, elapsed, Self::restore)
            }
            _ if elapsed < self.limits.whole => Step::Ask,
            _ => {
                let why = Refusal::new(
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
        let linked = *seen == Seen::Feeds(true);
        match self.stage {
            Stage::Linking if !linked && elapsed < since + self.limits.undo / 2 => {
                Step::Feeds(Side::Chosen)
            }
            Stage::Linking => self.go(Stage::Returning, Step::Demote(Side::Chosen)),
            Stage::Returning if failed && patient => Step::Demote(Side::Chosen),
            Stage::Returning if failed => self.release(),
            Stage::Returning if self.crashed => self.recant(),
            Stage::Returning => self.go(Stage::ComingBack, Step::Compare),
            Stage::ComingBack => match seen {
                Seen::Offsets { own, chosen, .. } if own == chosen => self.restore(),
                _ if patient => Step::Compare,
                // It may have taken writes that are nowhere else.
                _ => self.go(Stage::Keeping, Step::Promote(Side::Chosen)),
            },
            Stage::Restoring if failed && patient => Step::Promote(Side::Own),
            Stage::Restoring if failed => self.release(),
            Stage::Restoring if self.announced => self.recant(),
            Stage::Restoring => self.rejoin(),
            Stage::Recanting => {
                self.undone = true;
                self.rejoin()
            }
            Stage::Rejoining if !linked && patient => Step::Feeds(Side::Own),
            _ => self.release(),
        }
    }

    fn go(&mut self, stage: Stage, step: Step) -> Step {
        self.stage = stage;
        step
    }

    fn comparison(&self) -> Step {
        match self.way {
            Way::Announced => Step::Compare,
            Way::Failover => Step::CompareAll,
        }
    }

    fn promote(&mut self, elapsed: Duration) -> Step {
        match self.way {
            Way::Announced => self.go(Stage::Promoting, Step::Promote(Side::Chosen)),
            Way::Failover => self.ask_sentinel(elapsed),
        }
    }

    fn promoted(&mut self) -> Step {
        if self.crashed {
            return self.go(Stage::Rallying, Step::Gather);
        }
        self.go(Stage::Backing, Step::Back)
    }

    /// Until when replicas are waited for: Sentinels have to be told in time.
    fn backed_by(&self) -> Duration {
        match self.way {
            Way::Announced => self.limits.catch_up * 2,
            Way::Failover => self.limits.whole,
        }
    }

    /// The chosen one takes writes. Who did not write just when they were to be held is told to look for the primary anew, and finds
    /// it as soon as Sentinels name it.
    fn backed(&mut self, elapsed: Duration) -> Step {
        match self.way {
            Way::Announced => self.announce(),
            Way::Failover => self.over(elapsed),
        }
    }

    /// A majority names the chosen one, which takes writes.
    fn over(&mut self, elapsed: Duration) -> Step {
        self.write_gap = elapsed;
        self.release()
    }

    fn announce(&mut self) -> Step {
        self.announced = true;
        let epoch = self.choice.epoch;
        self.go(Stage::Announcing, Step::Announce(Side::Chosen, epoch))
    }

    fn fail(&mut self, why: Refusal, at: Duration, then: impl Fn(&mut Self) -> Step) -> Step {
        self.failure = Some((why, at));
        then(self)
    }

    fn give_back(&mut self) -> Step {
        if self.crashed {
            return self.go(Stage::Returning, Step::Demote(Side::Chosen));
        }
        self.go(Stage::Linking, Step::Feeds(Side::Chosen))
    }

    fn restore(&mut self) -> Step {
        if self.crashed {
            return self.release();
        }
        self.go(Stage::Restoring, Step::Promote(Side::Own))
    }

    fn recant(&mut self) -> Step {
        let epoch = self.choice.epoch + 1;
        self.go(Stage::Recanting, Step::Announce(Side::Own, epoch))
    }

    fn rejoin(&mut self) -> Step {
        if self.crashed {
            return self.release();
        }
        self.go(Stage::Rejoining, Step::Feeds(Side::Own))
    }

    fn release(&mut self) -> Step {
        if self.crashed {
            return self.close();
        }
        self.go(Stage::Releasing, Step::Release)
    }

    fn close(&mut self) -> Step {
        match (&self.failure, self.stage) {
            (Some((why, _)), _) => Step::End(HandoverOutcome::Failed(why.clone())),
            (None, stage) if self.crashed || stage == Stage::Gathering => {
                Step::End(HandoverOutcome::Done {
                    write_gap_ms: u64::try_from(self.write_gap.as_millis()).unwrap_or(u64::MAX),
                })
            }
            (None, _) => self.go(Stage::Gathering, Step::Gather),
        }
    }

    fn not_in_sync(&self) -> Refusal {
        let message = format!("{} did not come in sync in time", self.choice.to);
        Refusal::new(refusal::NOT_IN_SYNC, message)
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
        _ => Ok(false),
    }
}

fn not_confirmed() -> Refusal {
    Refusal::new(
        refusal::NOT_CONFIRMED,
        "no majority of Sentinels took the new primary up in time",
    )
}
