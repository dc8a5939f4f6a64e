//! What keeps a pod from being restarted, or its volume from being given up.

use super::{Rollout, SETTLING_MS, Step};
use crate::engine::line;
use crate::names::Component;
use crate::observed::PodView;
use crate::plan::Action;
use crate::plan::pending::Owed;
use crate::protocol::Phase;

impl Rollout<'_> {
    pub(super) fn unless_hindered(&self, owed: &Owed, action: impl FnOnce() -> Action) -> Step {
        match self.hindrance(owed) {
            Some(hindrance) => self.hindered(hindrance),
            None => Step::Act(Box::new(action())),
        }
    }

    /// What is due to the last step passes by itself.
    pub(super) fn hindered(&self, hindrance: String) -> Step {
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

    /// What is wrong with the other pods, and keeps this one from being restarted. One that is broken is missed by nobody, unless
    /// its volume is given up: that may hold what another one lacks.
    pub(super) fn hindrance(&self, owed: &Owed) -> Option<String> {
        let gives_up = self.gives_up(owed);
        if owed.lost || (self.is_broken(owed) && !gives_up) {
            return None;
        }
        let excused = |pod: &str| {
            let other = self.owed.iter().find(|other| other.pod == pod);
            let left_behind = other.is_some_and(|other| self.is_left_behind(other));
            pod == owed.pod || (left_behind && !gives_up)
        };
        let mut flaws = self.flaws.iter();
        let flaw = flaws.find(|(pod, _)| !excused(pod));
        let flaw = flaw.map(|(pod, flaw)| format!("{pod} {flaw}"));
        flaw.or_else(|| self.incomplete(owed).filter(|_| gives_up))
    }

    /// Whether a pod's volume goes with it. One that does not come up and may do so by a restart keeps it for now.
    pub(super) fn gives_up(&self, owed: &Owed) -> bool {
        let restart = self.is_broken(owed) && !owed.restart.is_empty();
        owed.lost || (owed.volume.is_some() && !restart)
    }

    /// Another data pod that could not stand in for one whose volume is given up: its own does not hold all of the data yet.
    fn incomplete(&self, owed: &Owed) -> Option<String> {
        let view = self.view;
        let is_whole = |pod: &String| {
            let marker = view.data(pod).and_then(|data| view.own_marker(data));
            marker.is_some_and(|marker| marker.complete)
        };
        let mut others = view.nodes.iter().filter(|pod| **pod != owed.pod);
        let other = others.find(|pod| owed.component == Component::Redis && !is_whole(pod))?;
        Some(format!("{other} has no whole copy on its volume yet"))
    }

    /// It does not come up, and nothing is lost by replacing it.
    pub(super) fn is_broken(&self, owed: &Owed) -> bool {
        self.pod(&owed.pod).is_some_and(PodView::is_broken)
    }

    /// Whether it does not come up, and may do so without the data that its volume holds, or with it.
    pub(super) fn may_come_up(&self, owed: &Owed) -> bool {
        if owed.lost {
            return owed.component == Component::Sentinel && self.view.topology.primary.is_some();
        }
        self.is_broken(owed) && !self.gives_up(owed)
    }

    /// A replica that runs an older engine than the primary may be unable to read what that sends.
    pub(super) fn is_left_behind(&self, owed: &Owed) -> bool {
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
}
