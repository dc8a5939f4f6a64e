//! How many Sentinels there are changes one at a time.
//!
//! Three kinds of majority decide who leads: that of the Sentinels that a Sentinel counts (it elects who fails over), that of
//! the Sentinels that an agent counts (it lets a pod lead, hand over, take writes), and ours. They go by numbers that change
//! at different moments. While no two of them are more than one apart, two majorities always share a Sentinel; so nothing is
//! added or taken away before everybody goes by the last change.
//!
//! A Sentinel that joins is counted when it and all others know one another. One that leaves is counted no more first, then it
//! is told to watch the bus no more, then the others forget it, and only then does its pod go: at no moment does anybody wait
//! for the vote of a Sentinel that is not there.

use super::blocked::{Blocked, reason};
use super::health::{self, flaws};
use super::view::View;
use super::{Action, Desired, Plan};
use crate::names::Names;
use crate::protocol::{RetireOrder, SentinelStatus};
use cachebus_api::status::{Electorate, Topology};

/// What comes next.
enum Step {
    /// There are as many as the spec asks for, and everybody counts them.
    Done,
    Act(Box<Action>, String),
    /// What was begun ends by itself.
    Wait(String),
    /// Something else comes first, or must be mended.
    Halt(String),
}

/// Takes the next step. Returns whether nothing else is to be changed meanwhile.
pub fn change(view: &View<'_>, desired: &Desired, plan: &mut Plan) -> bool {
    let Electorate { members, pods } = view.bus.electorate;
    if view.topology.sentinels.is_none() {
        plan.act(record(view, members, pods));
        return true;
    }
    let (what, moves) = match next(view, desired) {
        Step::Done => return false,
        Step::Act(action, what) => {
            plan.act(*action);
            (what, true)
        }
        Step::Wait(what) => (what, true),
        Step::Halt(what) => (what, false),
    };
    let wanted = view.bus.spec.sentinel.replicas;
    let message = format!("{members} Sentinels count, {wanted} are asked for: {what}");
    plan.stuck(Blocked::new(reason::SCALING_SENTINELS, message));
    moves
}

/// Whether a record still asks for a Sentinel to watch the bus no more.
#[must_use]
pub fn retirement_intended(topology: &Topology, names: &Names, pod: &str) -> bool {
    let members = topology.sentinels.map(|electorate| electorate.members);
    let ordinal = names.sentinel_ordinal(pod);
    ordinal
        .zip(members)
        .is_some_and(|(ordinal, members)| ordinal >= members)
}

fn next(view: &View<'_>, desired: &Desired) -> Step {
    let Electorate { members, pods } = view.bus.electorate;
    let wanted = view.bus.spec.sentinel.replicas;
    if (members, pods) == (wanted, wanted) {
        return match deviant(view, &[members]) {
            Some((_, Some(what))) => Step::Halt(what),
            Some((_, None)) | None => Step::Done,
        };
    }
    if let Some((pod, flaw)) = flaws(view, desired).first_key_value() {
        return Step::Halt(format!("{pod} {flaw}"));
    }
    let joins = view.joining.is_some();
    let counted: &[u32] = if joins {
        &[members, members + 1]
    } else {
        &[members]
    };
    if let Some((pod, deviation)) = deviant(view, counted) {
        let silent = || format!("{pod} does not say how many Sentinels it counts");
        return Step::Halt(deviation.unwrap_or_else(silent));
    }
    match (&view.joining, &view.leaving) {
        (Some(pod), _) => join(view, pod),
        (None, Some(pod)) => leave(view, pod),
        (None, None) => begin(view),
    }
}

/// A pod is added, or is counted no more.
fn begin(view: &View<'_>) -> Step {
    let Electorate { members, pods } = view.bus.electorate;
    let mut existing = view.observed.sentinels.iter();
    let beyond = existing.find(|(pod, node)| {
        let ordinal = view.bus.names.sentinel_ordinal(pod);
        node.pod.is_some() && ordinal.is_some_and(|ordinal| ordinal >= pods)
    });
    if let Some((pod, _)) = beyond {
        return Step::Wait(format!("{pod} is going"));
    }
    let pod = |ordinal| {
        view.bus
            .names
            .pod(crate::names::Component::Sentinel, ordinal)
    };
    if view.bus.spec.sentinel.replicas > members {
        let what = format!("{} joins", pod(members));
        return act(record(view, members, pods + 1), what);
    }
    let what = format!("{} leaves", pod(members - 1));
    act(record(view, members - 1, pods), what)
}

/// A Sentinel that joins is counted once it is well. That the others have found it is part of their being well.
fn join(view: &View<'_>, pod: &str) -> Step {
    let node = view.observed.sentinels.get(pod);
    let seen = node.and_then(|node| node.pod.as_ref());
    if let Some(trouble) = seen.and_then(|seen| seen.trouble.as_ref()) {
        return Step::Halt(format!("{pod} is not ready: {trouble}"));
    }
    let Some(status) = view.sentinel(pod) else {
        return Step::Wait(format!("{pod} is being started"));
    };
    if let Some((_, flaw)) = health::sentinel(view, pod, status) {
        return Step::Wait(format!("{pod} {flaw}"));
    }
    let Electorate { members, pods } = view.bus.electorate;
    let what = format!("{pod} is counted");
    act(record(view, members + 1, pods), what)
}

/// A Sentinel that is counted no more retires, and its pod goes once nobody knows it or waits for it.
fn leave(view: &View<'_>, pod: &str) -> Step {
    let members = view.bus.electorate.members;
    match view.sentinel(pod) {
        Some(SentinelStatus {
            monitored: Some(_), ..
        }) if view.failing_over() => Step::Wait("Sentinels fail over".to_owned()),
        Some(SentinelStatus {
            monitored: Some(_), ..
        }) => {
            let order = RetireOrder {
                uid: view.bus.uid.clone(),
            };
            let pod = pod.to_owned();
            let what = format!("{pod} retires");
            act(Action::Retire { pod, order }, what)
        }
        // Some Sentinel has heard of it a while ago.
        None if view.counted_as(pod).any(|known| !known.silent) => Step::Halt(format!(
            "{pod} leaves and does not answer, and others hear of it"
        )),
        Some(_) | None => act(record(view, members, members), format!("{pod} goes")),
    }
}

/// A data pod that does not count one of these numbers of Sentinels, and what it counts, for people, where it says so.
fn deviant<'a>(view: &View<'a>, allowed: &[u32]) -> Option<(&'a str, Option<String>)> {
    let observed = view.observed;
    let existing = observed.data.iter().filter(|(_, node)| node.pod.is_some());
    let mut deviants = existing.filter_map(|(pod, _)| {
        let counted = view.data(pod).and_then(|data| data.electorate);
        if counted.is_some_and(|counted| allowed.contains(&counted)) {
            return None;
        }
        let told = counted.map(|counted| format!("{pod} still counts {counted} of them"));
        Some((pod.as_str(), told))
    });
    deviants.next()
}

fn act(action: Action, what: String) -> Step {
    Step::Act(Box::new(action), what)
}

fn record(view: &View<'_>, members: u32, pods: u32) -> Action {
    Action::Record(Topology {
        sentinels: Some(Electorate { members, pods }),
        ..view.topology.clone()
    })
}
