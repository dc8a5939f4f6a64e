//! A person asks for keyspaces to be emptied, by an annotation. That is recorded in `status.flush`, the annotation is taken off, the
//! agent of the pod that leads is ordered to do it, and what it reports is recorded: a step in each pass, which any operator may take.
//!
//! Whoever leads and does not report that it was ordered has to be: an agent that was restarted begins anew, and so does a pod that
//! took the lead over, for what the one before removed last may not have reached it.

use super::rest::resting;
use super::users::differs;
use super::view::View;
use super::{Action, Desired, Plan};
use crate::acl::digest;
use crate::flush::{may_be_emptied, named};
use crate::protocol::{FlushOrder, FlushOutcome, FlushReport, FlushStatus};
use cachebus_api::contract::Keyspace;
use cachebus_api::status::Flush;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing, for people.
    Refused(String),
    /// It is recorded, and has yet to be taken off.
    Recorded,
    /// It stays where it is until the one before is done.
    Waits,
    /// It is to be recorded, with these keyspaces.
    Accepted(Vec<String>),
}

/// Answers the request, where there is one and it can be answered.
pub fn answer(view: &View<'_>, plan: &mut Plan) {
    let Some(asked) = &view.observed.flush_request else {
        return;
    };
    let refusal = match verdict(view, asked) {
        Verdict::Refused(why) => Some(why),
        Verdict::Recorded => None,
        Verdict::Waits => return,
        Verdict::Accepted(_) => {
            // The next pass finds it recorded.
            plan.unsettled = true;
            return;
        }
    };
    plan.act(Action::AnswerFlush {
        asked: asked.clone(),
        refusal,
    });
}

/// Orders what is recorded, as long as nothing else is on its way.
pub fn order(view: &View<'_>, desired: &Desired, plan: &mut Plan) {
    let moves = plan
        .actions
        .iter()
        .any(|action| action.changes_topology(view.observed));
    let Some(flush) = pending(view).filter(|_| !moves) else {
        return;
    };
    // Left on the object it would be carried out twice.
    let asked = view.observed.flush_request.as_deref();
    if asked.is_some_and(|asked| verdict(view, asked) == Verdict::Recorded) {
        return;
    }
    match progress(view, desired, flush) {
        Progress::Due(pod, order, None) => plan.act(Action::Flush { pod, order }),
        // The agent tries again by itself. The contract may be another by now, and the order with it.
        Progress::Due(pod, order, Some(_)) => plan.actions.push(Action::Flush { pod, order }),
        // The next pass finds it done, and what waits may begin.
        Progress::Done(_) | Progress::Failed(_) => plan.unsettled |= asked.is_some(),
        Progress::Running | Progress::Waits(_) => {}
    }
}

/// Whether a record still asks for this flush.
#[must_use]
pub fn flush_intended(recorded: Option<&Flush>, order: &FlushOrder) -> bool {
    recorded.is_some_and(|flush| flush.number == order.number && flush.finished_at.is_none())
}

/// What is to be reported of the last request.
pub fn reported(view: &View<'_>, desired: &Desired) -> Option<Flush> {
    if let Some(flush) = pending(view) {
        let mut flush = flush.clone();
        flush.waiting_for = None;
        match progress(view, desired, &flush) {
            Progress::Running => {}
            Progress::Waits(why) => flush.waiting_for = Some(why),
            Progress::Due(_, _, hindrance) => flush.waiting_for = hindrance,
            Progress::Done(removed) => {
                flush.removed = Some(removed);
                flush.finished_at = Some(view.now());
            }
            Progress::Failed(why) => {
                flush.failed = Some(why.to_owned());
                flush.finished_at = Some(view.now());
            }
        }
        return Some(flush);
    }
    let asked = view.observed.flush_request.as_deref();
    match asked.map(|asked| verdict(view, asked)) {
        Some(Verdict::Accepted(keyspaces)) => Some(Flush {
            number: number(view),
            keyspaces,
            since: view.now(),
            waiting_for: None,
            finished_at: None,
            removed: None,
            failed: None,
        }),
        _ => view.observed.status.flush.clone(),
    }
}

/// The recorded flush that has not ended.
fn pending<'a>(view: &View<'a>) -> Option<&'a Flush> {
    let flush = view.observed.status.flush.as_ref();
    flush.filter(|flush| flush.finished_at.is_none())
}

fn verdict(view: &View<'_>, asked: &str) -> Verdict {
    let keyspaces = match named(asked, &view.bus.spec) {
        Ok(keyspaces) => keyspaces,
        Err(why) => return Verdict::Refused(why),
    };
    let pending = pending(view);
    if let Some(flush) = pending.filter(|flush| flush.keyspaces == keyspaces) {
        match has_begun(view, flush.number) {
            // An operator recorded it and came no further; or it is asked for once more before anything was done.
            Some(false) => return Verdict::Recorded,
            Some(true) => {}
            // It may be either, or one that came later.
            None => return Verdict::Waits,
        }
    }
    // Later, when it could be met, it may not be wanted any more.
    match (resting(view.bus), pending) {
        (Some(why), _) => Verdict::Refused(why.to_owned()),
        (None, Some(_)) => Verdict::Waits,
        (None, None) => Verdict::Accepted(keyspaces),
    }
}

/// Whether the pod that leads was ordered the flush of this number. `None`: it does not tell.
fn has_begun(view: &View<'_>, number: u64) -> Option<bool> {
    let (_, data) = view.leader()?;
    let told = data.flush.as_ref()?;
    Some(report_of(told, number).is_some())
}

/// What an agent tells of the flush of this number, where it was ordered that and none since.
fn report_of(told: &FlushStatus, number: u64) -> Option<&FlushReport> {
    let last = told.last.as_ref();
    last.filter(|report| report.number == number)
}

/// A number that no agent has seen, also where the status was lost.
fn number(view: &View<'_>) -> u64 {
    let recorded = view.observed.status.flush.as_ref();
    let recorded = recorded.map_or(0, |flush| flush.number);
    let reports = view.reports();
    let seen = reports.filter_map(|(_, data)| Some(data.flush.as_ref()?.last.as_ref()?.number));
    recorded.max(seen.max().unwrap_or(0)).saturating_add(1)
}

/// How far a recorded flush is.
#[derive(Debug)]
enum Progress {
    /// An agent is at it.
    Running,
    /// Nobody is, and why, for people.
    Waits(String),
    /// This is to be ordered of this pod. It may have been before, and why it got no further.
    Due(String, FlushOrder, Option<String>),
    /// So many keys were removed.
    Done(u64),
    /// It cannot be done any more, and why, for people.
    Failed(&'static str),
}

fn progress(view: &View<'_>, desired: &Desired, flush: &Flush) -> Progress {
    let Some(order) = ordered(view, flush) else {
        return Progress::Failed("none of them is a keyspace of the cache any more");
    };
    let Some((primary, data)) = view.leader() else {
        let why = resting(view.bus).unwrap_or("no primary leads at the moment");
        return Progress::Waits(why.to_owned());
    };
    let waits = |why: &str| Progress::Waits(format!("{primary} {why}"));
    let Some(told) = &data.flush else {
        return waits("has an agent that is too old for it, and that a rollout replaces");
    };
    let hindrance = match report_of(told, flush.number).map(|report| &report.outcome) {
        None => None,
        // The contract may be another by now, and the order with it.
        Some(FlushOutcome::Hindered(refusal)) => Some(refusal.message.clone()),
        Some(FlushOutcome::Running) if data.fenced.is_some() => {
            return waits("takes no writes at the moment");
        }
        Some(FlushOutcome::Running) => return Progress::Running,
        Some(FlushOutcome::Done { removed }) => return Progress::Done(*removed),
        Some(FlushOutcome::Unknown) => {
            return waits("has an agent that says how it stands in words of another version");
        }
    };
    if let Some(why) = resting(view.bus) {
        return Progress::Waits(why.to_owned());
    }
    if has_other_users(view, primary, desired) {
        return waits("has yet to get the users of the contract");
    }
    Progress::Due(primary.to_owned(), order, hindrance)
}

/// The order for a recorded flush: what of it the contract declares as it is now.
fn ordered(view: &View<'_>, flush: &Flush) -> Option<FlushOrder> {
    let meant =
        |keyspace: &&Keyspace| may_be_emptied(keyspace) && flush.keyspaces.contains(&keyspace.name);
    let keyspaces = view.bus.spec.cache.keyspaces.iter();
    let (emptied, others): (Vec<_>, Vec<_>) = keyspaces.partition(meant);
    let keys = |keyspaces: Vec<&Keyspace>| -> Vec<String> {
        let keyspaces = keyspaces.into_iter();
        keyspaces.map(|keyspace| keyspace.key.clone()).collect()
    };
    (!emptied.is_empty()).then(|| FlushOrder {
        uid: view.bus.uid.clone(),
        epoch: view.topology.epoch,
        number: flush.number,
        keys: keys(emptied),
        others: keys(others),
    })
}

/// Whether the rights that it takes may be those of an older contract.
fn has_other_users(view: &View<'_>, pod: &str, desired: &Desired) -> bool {
    let node = view.observed.data.get(pod);
    node.is_none_or(|node| differs(node, &digest(&desired.acl.redis)))
}
