//! Who decides who the primary is, and what is recorded of it.
//!
//! A majority of Sentinels overrules every record, unless the pod that it names has lost its dataset, or follows while nobody
//! leads and another copy is newer. Without a majority, a node that leads goes on leading: it was made primary by Sentinels or
//! by an order. Where none leads, the operator chooses ([`super::bootstrap`]).

use super::blocked::{Blocked, reason};
use super::bootstrap::{
    choose, is_outdone, overruled_by, patience_with_sentinels, sentinels_have_time, wait_since,
};
use super::orders::{linked, not_agreed};
use super::view::View;
use crate::protocol::{DataStatus, Phase};
use crate::seal::Opinion;
use cachebus_api::status::{Target, Topology};

/// What becomes of the record in this pass.
pub enum Course {
    /// It stands, and orders follow from it.
    Keep,
    /// It changes first.
    Record(Box<Topology>),
    /// Nothing can be decided yet.
    Wait(Blocked),
}

impl Course {
    pub fn record(topology: Topology) -> Self {
        Self::Record(Box::new(topology))
    }
}

/// Decides what becomes of the record.
pub fn course(view: &View<'_>) -> Course {
    match view.named() {
        Some(named) if mistaken(view, named) => instead_of(view, named),
        // Sentinels say a second later that they made it lead. To end that now would be to fight them.
        Some(named) if let Some(next) = view.promoted(named) => Course::Wait(not_agreed(next)),
        Some(named) if stalled(view, named) => revive(view, named),
        Some(named) if let Some(leader) = led_by(view, named) => give_way(view, named, leader),
        Some(named) => settle(view, named),
        None => alone(view),
    }
}

/// Whether a pod that a majority of Sentinels names is not what they take it for: its dataset is gone, or they were overruled
/// and have decided nothing since.
pub fn mistaken(view: &View<'_>, named: &str) -> bool {
    let overruled = view.topology.overruled.as_ref();
    let known = matches!(&view.opinion, Opinion::Majority { pod, config_epoch }
        if overruled.is_some_and(|before| before.pod == *pod && before.config_epoch == *config_epoch));
    view.lost(named) || (known && !view.leads(named))
}

/// Sentinels name a pod that is not to lead, and no replica that they would promote.
fn instead_of(view: &View<'_>, named: &str) -> Course {
    let recorded = &view.topology;
    match (&recorded.target, &recorded.primary) {
        (Some(target), _) => toward(view, target, Some(named)),
        (None, Some(primary)) if primary != named && view.leads(primary) => settle(view, primary),
        (None, _) => choose(view, Some(named)),
    }
}

/// Whether nobody leads and the pod that Sentinels name does not know: it restarted, and followed, before they had agreed.
/// Sentinels see a replica where they expect a primary, and no candidate: each copy was in sync with another than the one
/// they name.
fn stalled(view: &View<'_>, named: &str) -> bool {
    let follows = view.data(named).is_some_and(|data| {
        matches!(data.phase, Phase::Following(_)) && !linked(data) && View::has_data(data)
    });
    follows && view.reports().all(|(_, data)| data.phase != Phase::Leading)
}

/// What Sentinels decided is carried out, after they had time to do it themselves, unless another copy is newer.
fn revive(view: &View<'_>, named: &str) -> Course {
    match &view.topology.target {
        Some(target) if target.pod == named => toward(view, target, Some(named)),
        _ => choose(view, Some(named)),
    }
}

/// The pod that leads and that the primary on record follows, though Sentinels name it.
fn led_by<'a>(view: &View<'a>, named: &str) -> Option<&'a str> {
    let recorded = &view.topology;
    if recorded.target.is_some() || recorded.primary.as_deref() != Some(named) {
        return None;
    }
    let Phase::Following(host) = &view.data(named)?.phase else {
        return None;
    };
    let followed = view.bus.names.data_pod_of_host(host)?;
    let mut leaders = view
        .reports()
        .filter(|(_, data)| data.phase == Phase::Leading);
    leaders
        .find(|(pod, _)| *pod == followed)
        .map(|(pod, _)| pod)
}

/// Sentinels that know no replica of the pod that they name never name another. After they had time to, the one that leads is
/// the primary.
fn give_way(view: &View<'_>, named: &str, leader: &str) -> Course {
    let since = view.topology.choosing_since.as_ref();
    let patience = patience_with_sentinels(view);
    match (since, settle(view, leader)) {
        (None, _) => wait_since(view, Some(view.now())),
        (Some(_), Course::Record(settled)) if view.passed(since, patience) => {
            Course::record(Topology {
                overruled: overruled_by(view, leader),
                ..*settled
            })
        }
        _ => Course::Wait(sentinels_have_time(view, named, patience)),
    }
}

/// No majority of Sentinels names anyone.
fn alone(view: &View<'_>) -> Course {
    let recorded = &view.topology;
    if let Some(target) = &recorded.target
        && view
            .data(&target.pod)
            .is_some_and(|data| confirmed(view, data, target))
    {
        return settle(view, &target.pod);
    }
    if let Some((leader, epoch)) = newest_leader(view) {
        let is_recorded = recorded.primary.as_deref() == Some(leader);
        let moved_since = epoch > recorded.epoch || recorded.primary.is_none();
        if moved_since || is_recorded {
            return settle(view, leader);
        }
    }
    if let Some(alive) = linked_but_silent(view) {
        return Course::Wait(Blocked::new(
            reason::PRIMARY_UNREACHABLE,
            format!("{alive} does not answer, but its replicas are linked to it"),
        ));
    }
    match &recorded.target {
        Some(target) => toward(view, target, None),
        None => choose(view, None),
    }
}

/// Carries on toward a recorded target, while it can still become what it was chosen for.
fn toward(view: &View<'_>, target: &Target, named: Option<&str>) -> Course {
    match view.data(&target.pod) {
        Some(data) if confirmed(view, data, target) => settle(view, &target.pod),
        Some(data) if data.phase != Phase::Leading && is_outdone(view, &target.pod, data) => {
            choose(view, named)
        }
        Some(data) if fit(view, data, target) => match view.topology.choosing_since {
            None => Course::Keep,
            Some(_) => Course::record(Topology {
                choosing_since: None,
                ..view.topology.clone()
            }),
        },
        Some(_) => choose(view, named),
        // One that is being deleted is no exception: its node may be cut off, and its server lead there.
        None if view.surely_off(&target.pod) => choose(view, named),
        None => Course::Wait(Blocked::new(
            reason::TARGET_UNREACHABLE,
            format!(
                "{} was chosen as primary and does not answer; it may lead already. It is given up when its pod is gone",
                target.pod
            ),
        )),
    }
}

/// Whether a target leads because of its order.
pub fn confirmed(view: &View<'_>, data: &DataStatus, target: &Target) -> bool {
    data.phase == Phase::Leading && view.obeyed(data) >= target.epoch
}

/// Whether a target still has what it was chosen for.
fn fit(view: &View<'_>, data: &DataStatus, target: &Target) -> bool {
    let others_empty = || {
        view.reports()
            .all(|(pod, other)| pod == target.pod || !View::has_data(other))
    };
    View::has_data(data) || data.phase == Phase::Leading || (target.empty && others_empty())
}

/// The node that leads with the newest data, and its epoch.
fn newest_leader<'a>(view: &View<'a>) -> Option<(&'a str, u64)> {
    view.reports()
        .filter(|(_, data)| data.phase == Phase::Leading)
        .map(|(pod, data)| (pod, view.epoch(data)))
        .max_by_key(|(pod, epoch)| (*epoch, view.topology.primary.as_deref() == Some(*pod)))
}

/// A pod that does not report, but to which replicas are linked: it leads.
fn linked_but_silent(view: &View<'_>) -> Option<String> {
    view.reports().find_map(|(_, data)| {
        let Phase::Following(host) = &data.phase else {
            return None;
        };
        let linked = data.replication.as_ref()?.link_up;
        let pod = view.bus.names.data_pod_of_host(host)?;
        (linked && view.data(&pod).is_none()).then_some(pod)
    })
}

/// Records `primary`, where that is not what is recorded.
fn settle(view: &View<'_>, primary: &str) -> Course {
    let recorded = &view.topology;
    let stays = recorded.primary.as_deref() == Some(primary) && recorded.target.is_none();
    let decided = match &recorded.target {
        Some(target) if target.pod == primary => target.epoch,
        _ if stays => recorded.epoch,
        _ => newest_decision(recorded) + 1,
    };
    let settled = Topology {
        primary: Some(primary.to_owned()),
        // Only who leads gives orders, and a raised epoch makes a copy look newer than it is.
        epoch: if stays && !view.leads(primary) {
            decided
        } else {
            uncontested(view, primary, decided)
        },
        since: if stays && recorded.since.is_some() {
            recorded.since.clone()
        } else {
            Some(view.now())
        },
        target: None,
        // One that is carried out was decided of this primary.
        handover: recorded.handover.clone().filter(|_| stays),
        handovers: if stays {
            recorded.handovers
        } else {
            view.handovers(primary)
        },
        restart: recorded.restart.clone(),
        sentinels: recorded.sentinels,
        choosing_since: None,
        overruled: recorded
            .overruled
            .clone()
            .filter(|_| view.named() != Some(primary)),
    };
    if settled == *recorded {
        Course::Keep
    } else {
        Course::record(settled)
    }
}

/// The first epoch from `decided` on in which no pod will refuse an order that names `primary`.
pub fn uncontested(view: &View<'_>, primary: &str, decided: u64) -> u64 {
    let known = newest_decision(&view.topology);
    view.reports()
        .filter_map(|(_, data)| view.own_marker(data))
        .map(|marker| {
            let data = if marker.primary == primary {
                marker.epoch
            } else {
                marker.epoch + 1
            };
            // Who was named in an epoch that is not in the record, nobody knows any more.
            let fence = if marker.fence > known {
                marker.fence + 1
            } else {
                marker.fence
            };
            data.max(fence)
        })
        .fold(decided, u64::max)
}

/// Newest epoch that the record has given out.
pub fn newest_decision(topology: &Topology) -> u64 {
    let target = topology.target.as_ref().map_or(0, |target| target.epoch);
    topology.epoch.max(target)
}
