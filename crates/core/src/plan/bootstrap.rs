//! The choice of a primary where nobody names one that is to lead: first boot, total restart, a primary without its dataset or
//! with an older one.

mod copies;

pub use copies::is_outdone;

use super::blocked::{Blocked, reason};
use super::restore;
use super::topology::{Course, newest_decision, uncontested};
use super::view::View;
use crate::seal::Opinion;
use cachebus_api::status::{Overruled, Target, Topology};
use copies::{Copy, copies, is_reading};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

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
    let choice = Choice::of(view, named);
    if choice.copies.is_empty() {
        return choice.nobody_has_reported();
    }
    if choice.may_wait() {
        return choice.wait();
    }
    let gates = [
        Choice::unheard,
        Choice::unread,
        Choice::unasked,
        Choice::unrestored,
    ];
    if let Some(blocked) = gates.iter().find_map(|gate| gate(&choice)) {
        return Course::Wait(blocked);
    }
    match choice.best {
        Some(best) => choice.newest(best),
        None => choice.empty(),
    }
}

/// What a primary is chosen by.
struct Choice<'a> {
    view: &'a View<'a>,
    named: Option<&'a str>,
    /// The copies that have reported, by ordinal.
    copies: Vec<Copy<'a>>,
    /// Pods that may have a copy and have not reported it.
    missing: Vec<&'a str>,
    /// Sentinels that say nothing.
    silent: Vec<&'a str>,
    /// The pod with the newest data, where any has data.
    best: Option<&'a str>,
}

impl<'a> Choice<'a> {
    fn of(view: &'a View<'a>, named: Option<&'a str>) -> Self {
        let copies = copies(view);
        // A bus that shrinks keeps the pod of its primary: it may hold what no other does.
        let kept = view.topology.primary.iter();
        let kept = kept.filter(|primary| !view.nodes.contains(primary));
        let pods = view.nodes.iter().chain(kept).map(String::as_str);
        let missing = pods.filter(|pod| copies.iter().all(|copy| copy.pod != *pod));
        let sentinels = view.sentinels.iter().map(String::as_str);
        let with_data = || copies.iter().filter(|copy| View::has_data(copy.data));
        // Of two that are equally new, the one that Sentinels name needs no one to overrule them.
        let best = with_data()
            .find(|copy| Some(copy.pod) == named && !is_outdone(view, copy.pod, copy.data))
            .or_else(|| with_data().max_by_key(|copy| copy.rank(view)))
            .map(|copy| copy.pod);
        Self {
            view,
            named,
            missing: missing.collect(),
            silent: sentinels
                .filter(|pod| view.sentinel(pod).is_none())
                .collect(),
            best,
            copies,
        }
    }

    /// How long is waited for those who have not reported, in milliseconds.
    fn patience(&self) -> u64 {
        match self.sentinels_may_move_on() {
            Some(_) => patience_with_sentinels(self.view),
            None => PATIENCE_MS,
        }
    }

    /// The pod that Sentinels may still have lead, or replace by another.
    fn sentinels_may_move_on(&self) -> Option<&'a str> {
        self.named.filter(|_| self.best.is_some())
    }

    fn nobody_has_reported(&self) -> Course {
        match self.view.topology.choosing_since {
            Some(_) => wait_since(self.view, None),
            None => Course::Wait(Blocked::new(
                reason::WAITING_FOR_COPIES,
                "no data pod has reported what it holds yet".to_owned(),
            )),
        }
    }

    /// Whether anybody may still change the choice, and has time to.
    fn may_wait(&self) -> bool {
        let since = self.view.topology.choosing_since.as_ref();
        let open = self.sentinels_may_move_on().is_some()
            || self.view.moving_to().is_some()
            || !self.missing.is_empty()
            || !self.silent.is_empty();
        open && !self.view.passed(since, self.patience())
    }

    fn wait(&self) -> Course {
        if self.view.topology.choosing_since.is_none() {
            return wait_since(self.view, Some(self.view.now()));
        }
        if let Some(named) = self.sentinels_may_move_on() {
            return Course::Wait(sentinels_have_time(self.view, named, self.patience()));
        }
        let unheard = [self.missing.as_slice(), self.silent.as_slice()].concat();
        Course::Wait(Blocked::new(
            reason::WAITING_FOR_COPIES,
            format!(
                "a primary is chosen when {} have reported, or {} s after the first copy did",
                unheard.join(", "),
                self.patience() / 1_000
            ),
        ))
    }

    /// This look need not be the last word of a pod that has only missed it.
    fn unheard(&self) -> Option<Blocked> {
        let expected = self.missing.iter().copied();
        let expected: Vec<&str> = expected
            .filter(|pod| self.view.may_tell(pod, PATIENCE_MS))
            .collect();
        (!expected.is_empty()).then(|| {
            let pods = expected.join(", ");
            let seconds = PATIENCE_MS / 1_000;
            Blocked::new(
                reason::WAITING_FOR_COPIES,
                format!("a primary is chosen when {pods} have reported, or have been silent for {seconds} s"),
            )
        })
    }

    /// However long that takes: what is being read may be the newest copy, and would be overwritten by an older one.
    fn unread(&self) -> Option<Blocked> {
        let reports = self.view.reports();
        let loading: Vec<&str> = reports
            .filter(|(pod, data)| is_reading(data) && !self.view.terminating(pod))
            .map(|(pod, _)| pod)
            .collect();
        (!loading.is_empty()).then(|| {
            let pods = loading.join(", ");
            Blocked::new(
                reason::WAITING_FOR_COPIES,
                format!("a primary is chosen when {pods} have read their files"),
            )
        })
    }

    /// A majority of Sentinels may name a primary that nobody else knows of.
    fn unasked(&self) -> Option<Blocked> {
        (self.silent.len() * 2 >= self.view.sentinels.len()).then(|| {
            let pods = self.silent.join(", ");
            Blocked::new(
                reason::SENTINELS_UNREACHABLE,
                format!("{pods} do not answer: they may name a primary"),
            )
        })
    }

    /// Why no copy may lead a bus that begins with a backup: nobody has it, or a volume holds something else, which would be lost.
    fn unrestored(&self) -> Option<Blocked> {
        if !restore::only_restored(self.view) {
            return None;
        }
        let foreign: Vec<&str> = self
            .copies
            .iter()
            .filter(|copy| restore::is_foreign(self.view, copy.data))
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
        self.best.is_none().then(|| {
            Blocked::new(
                reason::NOT_RESTORED,
                "the bus begins with a backup, and no volume holds it".to_owned(),
            )
        })
    }

    fn newest(&self, best: &str) -> Course {
        let why = match self.named {
            Some(named) if named == best => chosen::NAMED_BY_SENTINELS,
            Some(named) if self.view.lost(named) => chosen::PRIMARY_LOST_DATA,
            Some(_) | None => chosen::NEWEST_COPY,
        };
        aim(self.view, best, why, false)
    }

    /// No copy has data: one that is empty leads only where there is nothing else that could.
    fn empty(&self) -> Course {
        let set_aside: Vec<&str> = self
            .copies
            .iter()
            .filter(|copy| copy.data.set_aside)
            .map(|copy| copy.pod)
            .collect();
        if !set_aside.is_empty() {
            let pods = set_aside.join(", ");
            return Course::Wait(Blocked::new(
                reason::NO_DATASET,
                format!(
                    "no copy has data, and what {pods} could not read and set aside in /data/spoilt may be all that there is"
                ),
            ));
        }
        // A volume that has not been seen may be one that an earlier bus of this name has left.
        if self.missing.is_empty() {
            let first = self.copies.first().map(|copy| copy.pod);
            if let Some(first) = self.named.or(first) {
                return aim(self.view, first, chosen::FIRST_BOOT, true);
            }
        }
        let pods = self.missing.join(", ");
        Course::Wait(Blocked::new(
            reason::NO_DATASET,
            format!("no copy that reported has data, and {pods} may have it"),
        ))
    }
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

/// How long Sentinels have to replace a primary that cannot lead, in milliseconds.
pub fn patience_with_sentinels(view: &View<'_>) -> u64 {
    let down_after = view.bus.spec.sentinel.down_after.get();
    let down_after = down_after.map_or(0, |time| time.as_millis());
    PATIENCE_MS.saturating_add(u64::try_from(down_after).unwrap_or(u64::MAX))
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
