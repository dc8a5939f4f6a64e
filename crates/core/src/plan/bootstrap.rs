//! The choice of a primary where nobody names one that is to lead: first boot, total restart, a primary without its dataset or
//! with an older one.

use super::blocked::{Blocked, reason};
use super::restore;
use super::topology::{Course, newest_decision, uncontested};
use super::view::View;
use crate::protocol::{DataStatus, Phase};
use crate::seal::Opinion;
use cachebus_api::status::{Overruled, Target, Topology};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::cmp::Reverse;

/// How long missing copies are waited for after the first one reported, in milliseconds.
pub const PATIENCE_MS: u64 = 30_000;

/// Why a pod was chosen, in [`Target::reason`].
pub mod chosen {
    pub const NAMED_BY_SENTINELS: &str = "NamedBySentinels";
    pub const FIRST_BOOT: &str = "FirstBoot";
    pub const NEWEST_COPY: &str = "NewestCopy";
    pub const PRIMARY_LOST_DATA: &str = "PrimaryLostData";
}

/// Chooses a primary, or says what that waits for. `named`: the pod that Sentinels name although it does not lead.
pub fn choose(view: &View<'_>, named: Option<&str>) -> Course {
    let copies = copies(view);
    if copies.is_empty() {
        return match view.topology.choosing_since {
            Some(_) => wait_since(view, None),
            None => Course::Wait(Blocked::new(
                reason::WAITING_FOR_COPIES,
                "no data pod has reported what it holds yet".to_owned(),
            )),
        };
    }
    // A bus that shrinks keeps the pod of its primary: it may hold what no other does.
    let kept = view.topology.primary.iter();
    let kept = kept.filter(|primary| !view.nodes.contains(primary));
    let missing: Vec<&str> = view
        .nodes
        .iter()
        .chain(kept)
        .map(String::as_str)
        .filter(|pod| copies.iter().all(|copy| copy.pod != *pod))
        .collect();
    let silent: Vec<&str> = view
        .sentinels
        .iter()
        .map(String::as_str)
        .filter(|pod| view.sentinel(pod).is_none())
        .collect();
    let with_data = || copies.iter().filter(|copy| View::has_data(copy.data));
    // Of two that are equally new, the one that Sentinels name needs no one to overrule them.
    let best = with_data()
        .find(|copy| Some(copy.pod) == named && !is_outdone(view, copy.pod, copy.data))
        .or_else(|| with_data().max_by_key(|copy| copy.rank(view)));

    // Sentinels may still have the one that they name lead, or promote another in its place.
    let may_move_on = named.is_some() && best.is_some();
    let patience = if may_move_on {
        patience_with_sentinels(view)
    } else {
        PATIENCE_MS
    };
    let waited = view.passed(view.topology.choosing_since.as_ref(), patience);
    let moving = view.moving_to().is_some();
    if !waited && (may_move_on || moving || !missing.is_empty() || !silent.is_empty()) {
        if view.topology.choosing_since.is_none() {
            return wait_since(view, Some(view.now()));
        }
        return Course::Wait(match named {
            Some(named) if may_move_on => sentinels_have_time(view, named, patience),
            _ => Blocked::new(
                reason::WAITING_FOR_COPIES,
                format!(
                    "a primary is chosen when {} have reported, or {} s after the first copy did",
                    [missing, silent].concat().join(", "),
                    patience / 1_000
                ),
            ),
        });
    }
    // This look need not be the last word of one that has only missed it.
    let expected: Vec<&str> = missing
        .iter()
        .copied()
        .filter(|pod| view.may_tell(pod, PATIENCE_MS))
        .collect();
    if !expected.is_empty() {
        return Course::Wait(Blocked::new(
            reason::WAITING_FOR_COPIES,
            format!(
                "a primary is chosen when {} have reported, or have been silent for {} s",
                expected.join(", "),
                PATIENCE_MS / 1_000
            ),
        ));
    }
    // However long that takes: what is being read may be the newest copy, and would be overwritten by an older one.
    let loading: Vec<&str> = view
        .reports()
        .filter(|(pod, data)| is_reading(data) && !view.terminating(pod))
        .map(|(pod, _)| pod)
        .collect();
    if !loading.is_empty() {
        return Course::Wait(Blocked::new(
            reason::WAITING_FOR_COPIES,
            format!(
                "a primary is chosen when {} have read their files",
                loading.join(", ")
            ),
        ));
    }
    if silent.len() * 2 >= view.sentinels.len() {
        return Course::Wait(Blocked::new(
            reason::SENTINELS_UNREACHABLE,
            format!(
                "{} do not answer: they may name a primary",
                silent.join(", ")
            ),
        ));
    }
    if let Some(blocked) = unrestored(view, &copies) {
        return Course::Wait(blocked);
    }
    if let Some(best) = best {
        let why = match named {
            Some(named) if named == best.pod => chosen::NAMED_BY_SENTINELS,
            Some(named) if view.lost(named) => chosen::PRIMARY_LOST_DATA,
            Some(_) | None => chosen::NEWEST_COPY,
        };
        return aim(view, best.pod, why, false);
    }
    let set_aside: Vec<&str> = copies
        .iter()
        .filter(|copy| copy.data.set_aside)
        .map(|copy| copy.pod)
        .collect();
    if !set_aside.is_empty() {
        return Course::Wait(Blocked::new(
            reason::NO_DATASET,
            format!(
                "no copy has data, and what {} could not read and set aside in /data/spoilt may be all that there is",
                set_aside.join(", ")
            ),
        ));
    }
    // A volume that has not been seen may be one that an earlier bus of this name has left.
    if missing.is_empty() {
        let first = named.or_else(|| copies.first().map(|copy| copy.pod));
        if let Some(first) = first {
            return aim(view, first, chosen::FIRST_BOOT, true);
        }
    }
    Course::Wait(Blocked::new(
        reason::NO_DATASET,
        format!(
            "no copy that reported has data, and {} may have it",
            missing.join(", ")
        ),
    ))
}

/// What is waited for while Sentinels name a pod that does not lead, for so many milliseconds.
pub fn sentinels_have_time(view: &View<'_>, named: &str, patience: u64) -> Blocked {
    let seconds = patience / 1_000;
    if view.lost(named) {
        let message = format!(
            "Sentinels name {named}, whose dataset is gone; they have {seconds} s to promote a replica"
        );
        return Blocked::new(reason::PRIMARY_LOST_DATA, message);
    }
    let message = format!(
        "Sentinels name {named}, which does not lead; they have {seconds} s to change that"
    );
    Blocked::new(reason::PRIMARY_FOLLOWS, message)
}

/// Why no copy may lead a bus that begins with a backup: nobody has it, or a volume holds something else, which would be lost.
fn unrestored(view: &View<'_>, copies: &[Copy<'_>]) -> Option<Blocked> {
    if !restore::only_restored(view) {
        return None;
    }
    let foreign: Vec<&str> = copies
        .iter()
        .filter(|copy| restore::is_foreign(view, copy.data))
        .map(|copy| copy.pod)
        .collect();
    if !foreign.is_empty() {
        let pods = foreign.join(", ");
        return Some(Blocked::new(
            reason::NOT_RESTORED,
            format!(
                "the bus begins with a backup, and the volumes of {pods} hold data of an earlier one: delete their claims and pods, or take spec.bootstrap away"
            ),
        ));
    }
    let none = copies.iter().all(|copy| !View::has_data(copy.data));
    none.then(|| {
        Blocked::new(
            reason::NOT_RESTORED,
            "the bus begins with a backup, and no volume holds it".to_owned(),
        )
    })
}

/// How long Sentinels have to replace a primary that cannot lead, in milliseconds.
pub fn patience_with_sentinels(view: &View<'_>) -> u64 {
    let down_after = view.bus.spec.sentinel.down_after.get();
    let down_after = down_after.map_or(0, |time| time.as_millis());
    PATIENCE_MS.saturating_add(u64::try_from(down_after).unwrap_or(u64::MAX))
}

/// A copy of the data, loaded or held.
struct Copy<'a> {
    pod: &'a str,
    ordinal: usize,
    data: &'a DataStatus,
}

/// What makes one copy newer than another, as far as its marker tells. In this order: epoch, epoch of a predecessor's data,
/// whole, recorded primary, copy of the recorded primary, led.
type Age = (u64, u64, bool, bool, bool, bool);

/// What makes one copy better than another; the greatest is chosen. In this order: age, keys, lowest ordinal.
type Rank = (Age, u64, Reverse<usize>);

impl<'a> Copy<'a> {
    fn of(view: &View<'_>, pod: &'a str, data: &'a DataStatus) -> Self {
        let ordinal = view.nodes.iter().position(|node| node == pod);
        Self {
            pod,
            ordinal: ordinal.unwrap_or(view.nodes.len()),
            data,
        }
    }

    fn rank(&self, view: &View<'_>) -> Rank {
        let keys = self.data.keys.unwrap_or_default();
        (self.age(view), keys, Reverse(self.ordinal))
    }

    /// A marker's epoch says what the files hold at least, so it counts before everything. Data of a predecessor of this bus
    /// is real but older than any of this bus's, and its own epochs order it.
    fn age(&self, view: &View<'_>) -> Age {
        let marker = self.data.marker.as_ref();
        let own = view.own_marker(self.data);
        let led = own.is_some_and(|marker| marker.primary == self.pod);
        let whole = marker.is_some_and(|marker| marker.complete);
        let mut epoch = view.epoch(self.data);
        // What it noted since of another primary, or of its own newer lead, the record does not know.
        let up_to_date = match &view.topology.primary {
            Some(_) if led => epoch <= view.topology.epoch,
            Some(_) => epoch < view.topology.epoch,
            None => true,
        };
        let recorded = up_to_date && recorded_primary(view).as_deref() == Some(self.pod);
        // It came to a primary that Sentinels had made, and nobody has told it yet how new that one's data is.
        let of_recorded = own.is_some_and(|marker| {
            epoch < view.topology.epoch && view.topology.primary.as_ref() == Some(&marker.primary)
        });
        if led && whole {
            // It has all that it sent to those that count themselves as its copies.
            epoch = newest_copy_of(view, self.pod).max(epoch);
        }
        let foreign_epoch = match own {
            Some(_) => 0,
            None => marker.map_or(0, |marker| marker.epoch),
        };
        (epoch, foreign_epoch, whole, recorded, of_recorded, led)
    }
}

/// The newest epoch in which a copy was in sync with this pod.
fn newest_copy_of(view: &View<'_>, primary: &str) -> u64 {
    view.reports()
        .filter_map(|(_, data)| view.own_marker(data))
        .filter(|marker| marker.primary == primary)
        .map(|marker| marker.epoch)
        .max()
        .unwrap_or_default()
}

/// Whether it will say later what it holds.
fn is_reading(data: &DataStatus) -> bool {
    matches!(data.phase, Phase::Loading | Phase::Unknown)
}

/// The copies that have reported, by ordinal.
fn copies<'a>(view: &View<'a>) -> Vec<Copy<'a>> {
    let mut copies: Vec<Copy<'a>> = files(view).filter(|copy| !is_reading(copy.data)).collect();
    copies.sort_by_key(|copy| copy.ordinal);
    copies
}

/// The copies that have reported, or are being read.
fn files<'a>(view: &View<'a>) -> impl Iterator<Item = Copy<'a>> {
    let told = view
        .reports()
        .filter(|(pod, data)| !view.terminating(pod) && data.phase != Phase::Down);
    told.map(|(pod, data)| Copy::of(view, pod, data))
}

/// Whether there is a copy that is newer than the one of the pod that was chosen.
pub fn is_outdone(view: &View<'_>, chosen: &str, data: &DataStatus) -> bool {
    let age = Copy::of(view, chosen, data).age(view);
    files(view).any(|copy| View::has_data(copy.data) && copy.age(view) > age)
}

/// The last primary: the record's or, where there is none, that of the newest data.
fn recorded_primary(view: &View<'_>) -> Option<String> {
    view.topology.primary.clone().or_else(|| {
        view.reports()
            .filter_map(|(_, data)| data.marker.as_ref())
            .max_by_key(|marker| (marker.uid == view.bus.uid, marker.epoch))
            .map(|marker| marker.primary.clone())
    })
}

/// Records since when copies are waited for.
pub fn wait_since(view: &View<'_>, choosing_since: Option<Time>) -> Course {
    Course::record(Topology {
        choosing_since,
        ..view.topology.clone()
    })
}

/// What is not followed where this pod is to be the primary.
pub fn overruled_by(view: &View<'_>, pod: &str) -> Option<Overruled> {
    match &view.opinion {
        Opinion::Majority {
            pod: named,
            config_epoch,
        } => (named != pod).then(|| Overruled {
            pod: named.clone(),
            config_epoch: *config_epoch,
        }),
        Opinion::Moving { .. } | Opinion::None => view.topology.overruled.clone(),
    }
}

/// Records a target, in an epoch that no pod knows of yet.
pub fn aim(view: &View<'_>, pod: &str, reason: &str, empty: bool) -> Course {
    let next = newest_decision(&view.topology) + 1;
    let superseded = view.topology.target.iter().flat_map(|before| {
        let earlier = before.superseded.iter();
        earlier.chain([&before.pod]).filter(|other| *other != pod)
    });
    Course::record(Topology {
        target: Some(Target {
            pod: pod.to_owned(),
            epoch: uncontested(view, pod, next),
            reason: reason.to_owned(),
            empty,
            superseded: superseded.cloned().collect(),
        }),
        // It was decided of a primary that leads.
        handover: None,
        choosing_since: None,
        overruled: overruled_by(view, pod),
        ..view.topology.clone()
    })
}
