//! Which copies of the data there are, and which is newest.

use crate::plan::view::View;
use crate::protocol::{DataStatus, Phase};
use std::cmp::Reverse;

/// A copy of the data, loaded or held.
pub struct Copy<'a> {
    /// The pod whose copy it is.
    pub pod: &'a str,
    ordinal: usize,
    /// What that pod reports.
    pub data: &'a DataStatus,
}

/// What makes one copy newer than another, as far as its marker tells. In this order: epoch, epoch of a predecessor's data,
/// whole, recorded primary, copy of the recorded primary, led.
type Age = (u64, u64, bool, bool, bool, bool);

/// What makes one copy better than another; the greatest is chosen. In this order: age, keys, lowest ordinal.
pub type Rank = (Age, u64, Reverse<usize>);

impl<'a> Copy<'a> {
    fn of(view: &View<'_>, pod: &'a str, data: &'a DataStatus) -> Self {
        let ordinal = view.nodes.iter().position(|node| node == pod);
        Self {
            pod,
            ordinal: ordinal.unwrap_or(view.nodes.len()),
            data,
        }
    }

    /// What it is compared by.
    pub fn rank(&self, view: &View<'_>) -> Rank {
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
pub fn is_reading(data: &DataStatus) -> bool {
    matches!(data.phase, Phase::Loading | Phase::Unknown)
}

/// The copies that have reported, by ordinal.
pub fn copies<'a>(view: &View<'a>) -> Vec<Copy<'a>> {
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
