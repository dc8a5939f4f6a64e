//! Pods that run with something older than what is asked for are restarted, one at a time: Sentinels, replicas, and, when
//! another one leads, the old primary.
//!
//! What is restarted is recorded first, and the next one waits until all pods are well. So no two pods are away by our doing,
//! whoever carries on, and a restart that has not brought in what it was for is not repeated.

use super::blocked::{Blocked, reason};
use super::handover::{best, decide, failed, why};
use super::health::flaws;
use super::pending::{Owed, owed};
use super::view::View;
use super::{Action, Desired, Plan};
use crate::engine::line;
use crate::names::Component;
use crate::observed::{Node, PodView};
use crate::protocol::Phase;
use cachebus_api::status::{Restart, Topology};
use std::collections::BTreeMap;

/// Time after a restart or a change of the primary in which pods are expected to come to terms, in milliseconds.
const SETTLING_MS: u64 = 120_000;

/// What comes next.
enum Step {
    /// Every pod runs what is asked for.
    Done,
    Act(Box<Action>),
    /// What was begun is not over.
    Wait(String),
    /// Something else must be mended first.
    Halt(String),
}

/// Takes the next step.
pub fn roll(view: &View<'_>, desired: &Desired, plan: &mut Plan) {
    let rollout = Rollout {
        view,
        owed: owed(view, desired)
            .into_iter()
            .filter(|owed| !owed.restart.is_empty())
            .filter(|owed| view.nodes.contains(&owed.pod) || view.sentinels.contains(&owed.pod))
            .collect(),
        flaws: flaws(view, desired),
    };
    let blocked = |reason, what| Blocked::new(reason, format!("{}: {what}", rollout.progress()));
    match rollout.carry_on().unwrap_or_else(|| rollout.next()) {
        Step::Done => {}
        Step::Act(action) => {
            let what = said(&action);
            plan.act(*action);
            if let Some(what) = what {
                plan.wait(blocked(reason::ROLLING_OUT, what));
            }
        }
        Step::Wait(what) => plan.wait(blocked(reason::ROLLING_OUT, what)),
        Step::Halt(what) => plan.stuck(blocked(reason::ROLLOUT_HALTED, what)),
    }
}

/// Whether a record still asks for a restart. `alone`: the spec asks for no replicas, so that the primary itself may go.
#[must_use]
pub fn restart_intended(topology: &Topology, pod: &str, uid: &str, alone: bool) -> bool {
    let restart = topology.restart.as_ref();
    restart.is_some_and(|restart| restart.pod == pod && restart.uid == uid)
        && topology.target.is_none()
        && topology
            .handover
            .as_ref()
            .is_none_or(|handover| handover.failed.is_some())
        && (alone || topology.primary.as_deref() != Some(pod))
}

/// What an action of the rollout does, for people; `None`: it is over.
fn said(action: &Action) -> Option<String> {
    match action {
        Action::Record(Topology {
            handover: Some(handover),
            ..
        }) if handover.failed.is_none() => {
            let to = handover.to.as_deref().unwrap_or("a replica");
            Some(format!("the lead goes to {to}"))
        }
        Action::Record(topology) => {
            let restart = topology.restart.as_ref()?;
            Some(restarting(&restart.pod, &restart.reason))
        }
        Action::Restart { pod, .. } => Some(format!("{pod} is being restarted")),
        _ => None,
    }
}

fn restarting(pod: &str, reason: &str) -> String {
    format!("{pod} is being restarted ({reason})")
}

struct Rollout<'a> {
    view: &'a View<'a>,
    owed: Vec<Owed>,
    flaws: BTreeMap<&'a str, String>,
}

impl Rollout<'_> {
    fn progress(&self) -> String {
        let pods = self.view.nodes.len() + self.view.sentinels.len();
        let done = pods - self.owed.len();
        format!("{done} of {pods} pods run what the spec asks for")
    }

    /// What becomes of the restart that is recorded. `None`: nothing more.
    fn carry_on(&self) -> Option<Step> {
        let restart = self.view.topology.restart.as_ref()?;
        let pod = restart.pod.as_str();
        let owed = self.owed.iter().find(|owed| owed.pod == pod);
        let Some(seen) = self
            .node(pod)?
            .pod
            .as_ref()
            .filter(|seen| !seen.terminating)
        else {
            return Some(Step::Wait(restarting(pod, &restart.reason)));
        };
        if seen.uid == restart.uid {
            let may_go = self.alone() || !self.is_primary(pod);
            return owed.filter(|_| may_go).map(|owed| {
                self.unless_hindered(owed, || Action::Restart {
                    pod: pod.to_owned(),
                    uid: seen.uid.clone(),
                })
            });
        }
        match (owed, self.flaws.get(pod)) {
            (Some(owed), _) if self.asked(owed).is_some_and(|asked| same(restart, &asked)) => {
                Some(Step::Halt(format!(
                    "{pod} was restarted and is still {}",
                    owed.reason()
                )))
            }
            (Some(owed), Some(_)) if !self.is_primary(pod) => Some(self.restart(owed)),
            (Some(_), _) | (None, None) => None,
            (None, Some(flaw)) if seen.trouble.is_some() => {
                Some(Step::Halt(format!("{pod} was restarted and {flaw}")))
            }
            (None, Some(flaw)) => Some(Step::Wait(format!("{pod} was restarted and {flaw}"))),
        }
    }

    /// The next step when none is under way.
    fn next(&self) -> Step {
        let (primary, others): (Vec<_>, Vec<_>) = self
            .owed
            .iter()
            .partition(|owed| self.is_primary(&owed.pod));
        // Sentinels come after data pods in the list, and are the first to go.
        let next = others.into_iter().min_by_key(|owed| {
            (
                !self.is_broken(owed),
                !self.is_left_behind(owed),
                owed.component == Component::Redis,
            )
        });
        if let Some(owed) = next {
            return self.restart(owed);
        }
        let Some(owed) = primary.first() else {
            return self.finish();
        };
        if self.alone() {
            return self.restart(owed);
        }
        match (self.hindrance(owed), failed(self.view), best(self.view)) {
            (Some(hindrance), _, _) => self.hindered(hindrance),
            (None, Some(failed), _) => Step::Halt(failed),
            (None, None, Some(to)) => {
                Step::Act(Box::new(decide(self.view, Some(to), why::ROLLOUT)))
            }
            (None, None, None) => {
                Step::Halt(format!("no replica could take over from {}", owed.pod))
            }
        }
    }

    /// Records that a pod is to be restarted.
    fn restart(&self, owed: &Owed) -> Step {
        match self.asked(owed) {
            Some(restart) => self.unless_hindered(owed, || {
                Action::Record(Topology {
                    restart: Some(Box::new(restart)),
                    ..self.view.topology.clone()
                })
            }),
            None => Step::Wait("the latest pod template is being taken up".to_owned()),
        }
    }

    fn finish(&self) -> Step {
        match self.view.topology.restart {
            None => Step::Done,
            Some(_) => Step::Act(Box::new(Action::Record(Topology {
                restart: None,
                ..self.view.topology.clone()
            }))),
        }
    }

    fn unless_hindered(&self, owed: &Owed, action: impl FnOnce() -> Action) -> Step {
        match self.hindrance(owed) {
            Some(hindrance) => self.hindered(hindrance),
            None => Step::Act(Box::new(action())),
        }
    }

    /// What is due to the last step passes by itself.
    fn hindered(&self, hindrance: String) -> Step {
        let topology = &self.view.topology;
        let restarted = topology.restart.as_ref().map(|restart| &restart.since);
        let times = [restarted, topology.since.as_ref()];
        let mut times = times.into_iter().flatten();
        if times.any(|since| !self.view.passed(Some(since), SETTLING_MS)) {
            Step::Wait(hindrance)
        } else {
            Step::Halt(hindrance)
        }
    }

    /// What is wrong with the other pods, and keeps this one from being restarted. One that is broken is missed by nobody.
    fn hindrance(&self, owed: &Owed) -> Option<String> {
        if self.is_broken(owed) {
            return None;
        }
        let excused = |pod: &str| {
            let other = self.owed.iter().find(|other| other.pod == pod);
            pod == owed.pod || other.is_some_and(|other| self.is_left_behind(other))
        };
        let mut flaws = self.flaws.iter();
        let (pod, flaw) = flaws.find(|(pod, _)| !excused(pod))?;
        Some(format!("{pod} {flaw}"))
    }

    /// What is recorded of a restart of this pod now. `None`: the pod is not there, or its StatefulSet's controller has not seen
    /// the latest template.
    fn asked(&self, owed: &Owed) -> Option<Restart> {
        let view = self.view;
        Some(Restart {
            pod: owed.pod.clone(),
            uid: self.pod(&owed.pod)?.uid.clone(),
            reason: owed.reason(),
            generation: view.bus.generation,
            revision: view.observed.revisions.get(&owed.component)?.clone(),
            since: view.now(),
        })
    }

    /// It does not come up, and nothing is lost by replacing it.
    fn is_broken(&self, owed: &Owed) -> bool {
        let pod = self.pod(&owed.pod);
        pod.is_some_and(|pod| pod.trouble.is_some() && !pod.ready && !pod.terminating)
    }

    /// A replica that runs an older engine than the primary may be unable to read what that sends.
    fn is_left_behind(&self, owed: &Owed) -> bool {
        let release = |pod: &str| {
            let agent = self.node(pod)?.agent.as_ref()?;
            Some(line(&agent.engine.as_ref()?.version))
        };
        let primary = self.view.topology.primary.as_deref().and_then(release);
        let follows = self.view.data(&owed.pod).is_some_and(|data| {
            matches!(
                data.phase,
                Phase::Following(_) | Phase::Down | Phase::Loading | Phase::Unknown
            )
        });
        follows
            && self.flaws.contains_key(owed.pod.as_str())
            && primary == Some(self.view.bus.spec.engine.version.as_str())
            && release(&owed.pod) != primary
    }

    fn is_primary(&self, pod: &str) -> bool {
        self.view.topology.primary.as_deref() == Some(pod)
    }

    /// The spec asks for no replica that could lead meanwhile.
    fn alone(&self) -> bool {
        self.view.bus.spec.replicas == 0
    }

    /// A pod that should exist.
    fn node(&self, pod: &str) -> Option<&Node> {
        let observed = self.view.observed;
        let mut expected = self.view.nodes.iter().chain(&self.view.sentinels);
        expected.find(|expected| *expected == pod)?;
        observed
            .data
            .get(pod)
            .or_else(|| observed.sentinels.get(pod))
    }

    fn pod(&self, pod: &str) -> Option<&PodView> {
        self.node(pod)?.pod.as_ref()
    }
}

/// Whether nothing has changed of what a pod was restarted for.
fn same(one: &Restart, other: &Restart) -> bool {
    let asked = |restart: &Restart| {
        (
            restart.generation,
            restart.revision.clone(),
            restart.reason.clone(),
        )
    };
    asked(one) == asked(other)
}
