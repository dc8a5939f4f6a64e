//! Pods that run with something older than what is asked for are restarted, one at a time: Sentinels, replicas, and, when
//! another one leads, the old primary. One whose volume owes what none can bring in that exists comes back with an empty one.
//!
//! What is restarted is recorded first, and the next one waits until all pods are well. So no two pods are away by our doing,
//! whoever carries on, and a restart that has not brought in what it was for is not repeated.

use super::blocked::{Blocked, reason};
use super::handover::{best, decide, failed, why};
use super::health::{flaws, leading};
use super::pending::{Owed, owed};
use super::storage::{is_of, is_templated};
use super::view::View;
use super::{Action, Desired, Plan};
use crate::bus::Bus;
use crate::names::Component;
use crate::observed::{Node, Observed, PodView};
use cachebus_api::status::{Restart, Topology};
use std::collections::BTreeMap;

mod hindrance;

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
    let rollout = Rollout::new(view, desired);
    let step = rollout.lost().or_else(|| rollout.carry_on());
    let step = step.unwrap_or_else(|| rollout.next());
    rollout.take(step, plan);
}

/// Brings back what does not come up and may, while nobody leads: pods that owe a restart, and Sentinels whose volumes are lost with
/// their node. Without them nobody may ever lead again; and what is wrong with the others is that nobody leads.
pub fn revive(view: &View<'_>, desired: &Desired, plan: &mut Plan) {
    let mut rollout = Rollout::new(view, desired);
    let may_come_up: Vec<Owed> = std::mem::take(&mut rollout.owed)
        .into_iter()
        .filter(|owed| rollout.may_come_up(owed))
        .collect();
    rollout.owed = may_come_up;
    if view.topology.target.is_some() || rollout.owed.is_empty() {
        return;
    }
    let owed = &rollout.owed;
    rollout
        .flaws
        .retain(|pod, _| owed.iter().any(|owed| owed.pod == *pod));
    let step = rollout.lost().or_else(|| rollout.carry_on());
    let step = step.or_else(|| rollout.first_to_come_up());
    if let Some(step) = step {
        rollout.take(step, plan);
    }
}

/// Whether a record still asks for a restart. `primary_too`: [`primary_may_go`].
#[must_use]
pub fn restart_intended(topology: &Topology, pod: &str, uid: &str, primary_too: bool) -> bool {
    let restart = topology.restart.as_ref();
    restart.is_some_and(|restart| restart.pod == pod && restart.uid == uid)
        && topology.target.is_none()
        && topology
            .handover
            .as_ref()
            .is_none_or(|handover| handover.failed.is_some())
        && (primary_too || topology.primary.as_deref() != Some(pod))
}

/// Whether a pod may be restarted though it is the primary: the spec asks for no replica that could lead meanwhile, or the pod does
/// not come up.
#[must_use]
pub fn primary_may_go(bus: &Bus, observed: &Observed, pod: &str) -> bool {
    let seen = observed.data.get(pod).and_then(|node| node.pod.as_ref());
    bus.spec.replicas == 0 || seen.is_some_and(PodView::is_broken)
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
    /// Pods that run what the spec asks for.
    done: usize,
    flaws: BTreeMap<&'a str, String>,
}

impl<'a> Rollout<'a> {
    fn new(view: &'a View<'a>, desired: &Desired) -> Self {
        let owed: Vec<Owed> = owed(view, desired)
            .into_iter()
            .filter(Owed::is_due)
            .filter(|owed| view.nodes.contains(&owed.pod) || view.told().any(|pod| pod == owed.pod))
            .collect();
        Self {
            view,
            done: view.nodes.len() + view.told().count() - owed.len(),
            owed,
            flaws: flaws(view, desired),
        }
    }

    fn take(&self, step: Step, plan: &mut Plan) {
        let blocked = |reason, what| Blocked::new(reason, format!("{}: {what}", self.progress()));
        match step {
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

    fn progress(&self) -> String {
        let pods = self.view.nodes.len() + self.view.told().count();
        format!("{} of {pods} pods run what the spec asks for", self.done)
    }

    /// A pod whose volume is lost with its node waits for nobody, and nobody waits for it: it cannot start. `None`: there is none,
    /// or it is recorded.
    fn lost(&self) -> Option<Step> {
        let mut lost = self.owed.iter().filter(|owed| owed.lost);
        let recorded = self.view.topology.restart.as_ref();
        let recorded = recorded.map(|restart| (restart.pod.as_str(), restart.uid.as_str()));
        let first = lost.clone().next()?;
        let under_way = lost.any(|owed| {
            let pod = self.pod(&owed.pod);
            pod.is_some_and(|pod| recorded == Some((&owed.pod, &pod.uid)))
        });
        (!under_way).then(|| self.restart(first))
    }

    /// What becomes of the restart that is recorded. `None`: nothing more.
    fn carry_on(&self) -> Option<Step> {
        let restart = self.view.topology.restart.as_ref()?;
        let pod = restart.pod.as_str();
        let owed = self.owed.iter().find(|owed| owed.pod == pod);
        let node = self.node(pod)?;
        let Some(seen) = node.pod.as_ref().filter(|seen| !seen.terminating) else {
            return Some(Step::Wait(restarting(pod, &restart.reason)));
        };
        let given_up = node.claim.as_ref();
        let given_up = given_up.filter(|claim| is_of(claim, restart.claim.as_ref()));
        if seen.uid == restart.uid {
            let owed = owed.filter(|owed| self.may_go(owed))?;
            let step = self.unless_hindered(owed, || Action::Restart {
                pod: pod.to_owned(),
                uid: seen.uid.clone(),
                claim: given_up
                    .filter(|claim| !claim.terminating && self.gives_up(owed))
                    .map(|claim| claim.uid.clone()),
            });
            return Some(self.unless_broken(step));
        }
        if given_up.is_some_and(|claim| claim.terminating) {
            return Some(Step::Wait(restarting(pod, &restart.reason)));
        }
        let step = match (owed, self.flaws.get(pod)) {
            // Somebody else deleted the pod, and it came back with the volume that it had.
            (Some(owed), _) if given_up.is_some() && !self.is_primary(pod) => self.restart(owed),
            (Some(owed), _) if self.asked(owed).is_some_and(|asked| same(restart, &asked)) => {
                return Some(Step::Halt(format!(
                    "{pod} was restarted, and yet: {}",
                    owed.reason()
                )));
            }
            (Some(owed), Some(_)) if self.may_go(owed) => self.restart(owed),
            (Some(_), _) | (None, None) => return None,
            (None, Some(flaw)) if seen.trouble.is_some() => {
                Step::Halt(format!("{pod} was restarted and {flaw}"))
            }
            (None, Some(flaw)) => Step::Wait(format!("{pod} was restarted and {flaw}")),
        };
        Some(self.unless_broken(step))
    }

    /// What would have to wait for others gives way to a pod that does not come up and waits for nobody.
    fn unless_broken(&self, step: Step) -> Step {
        if matches!(step, Step::Act(_)) {
            return step;
        }
        let mut owed = self.owed.iter();
        let broken =
            owed.find(|owed| self.is_broken(owed) && !self.gives_up(owed) && self.may_go(owed));
        broken.map_or(step, |owed| self.restart(owed))
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

    /// The next step while nobody leads: Sentinels first, and then the primary, whose copy is the newest.
    fn first_to_come_up(&self) -> Option<Step> {
        let first = self.owed.iter().min_by_key(|owed| {
            (
                owed.component == Component::Redis,
                !self.is_primary(&owed.pod),
            )
        });
        first.map(|owed| self.restart(owed))
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

    /// What is recorded of a restart of this pod now. `None`: the pod is not there, or its StatefulSet's controller has not seen
    /// the latest template, or the StatefulSet is yet to be made anew.
    fn asked(&self, owed: &Owed) -> Option<Restart> {
        let view = self.view;
        let gives_up = self.gives_up(owed);
        if gives_up && !is_templated(view, owed.component) {
            return None;
        }
        let claim = self.node(&owed.pod)?.claim.as_ref();
        Some(Restart {
            pod: owed.pod.clone(),
            uid: self.pod(&owed.pod)?.uid.clone(),
            claim: claim.filter(|_| gives_up).map(|claim| claim.uid.clone()),
            reason: owed.reason(),
            generation: view.bus.generation,
            revision: view.observed.revisions.get(&owed.component)?.clone(),
            since: view.now(),
        })
    }

    fn is_primary(&self, pod: &str) -> bool {
        self.view.topology.primary.as_deref() == Some(pod)
    }

    /// The spec asks for no replica that could lead meanwhile.
    fn alone(&self) -> bool {
        self.view.bus.spec.replicas == 0
    }

    /// Whether a pod is to be restarted though it may be the primary.
    fn may_go(&self, owed: &Owed) -> bool {
        let leads = leading(self.view).is_some();
        !self.is_primary(&owed.pod) || self.alone() || (self.is_broken(owed) && !leads)
    }

    /// A pod that should exist.
    fn node(&self, pod: &str) -> Option<&Node> {
        let observed = self.view.observed;
        let nodes = self.view.nodes.iter().map(String::as_str);
        let mut expected = nodes.chain(self.view.told());
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
