//! Whether a pod may hand its lead over, and to whom.

use super::refusal;
use crate::names::Names;
use crate::protocol::Refusal;
use crate::seal::{Opinion, Vote, opinion};
use std::cmp::Reverse;
use std::time::Duration;

/// What one Sentinel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stance {
    /// Whom it names, and since which epoch.
    pub vote: Vote,
    /// It carries a failover out.
    pub failing_over: bool,
    /// Highest epoch that it shows.
    pub highest_epoch: u64,
}

/// The server whose lead is handed over: as it is or, after a crash, as it last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its replication history.
    pub history: String,
    /// Pods of the replicas that it feeds and that are in its stream.
    pub fed: Vec<String>,
    /// Those of them that acknowledged within the last seconds.
    pub acknowledging: Vec<String>,
}

/// A replica that is well acknowledges each second.
const ACKNOWLEDGES: Duration = Duration::from_secs(2);

impl Own {
    /// A server by its replication history and by the replicas in its stream, each with the time since it last acknowledged.
    pub fn new(history: String, fed: impl IntoIterator<Item = (String, Option<Duration>)>) -> Self {
        let mut own = Self {
            history,
            fed: Vec::new(),
            acknowledging: Vec::new(),
        };
        for (pod, lag) in fed {
            if lag.is_some_and(|lag| lag <= ACKNOWLEDGES) {
                own.acknowledging.push(pod.clone());
            }
            own.fed.push(pod);
        }
        own
    }
}

/// What a replica says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Its pod.
    pub pod: String,
    /// It is no replica.
    pub leads: bool,
    /// Data pod that it follows; `None`: nobody, or none of the bus's.
    pub follows: Option<String>,
    /// Its link is up.
    pub link_up: bool,
    /// It reads files, or receives a full copy.
    pub loading: bool,
    /// `replica-priority`; 0: its data is not known to be the primary's.
    pub priority: u32,
    /// Replication history that its data belongs to.
    pub history: String,
    /// How much of that it has.
    pub offset: u64,
}

/// All that counts, seen within the last second.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Names of the bus.
    pub names: &'a Names,
    /// The pod that leads, or led until its server ended.
    pub pod: &'a str,
    /// Newest epoch that the pod knows of, whether or not its data is of it.
    pub epoch: u64,
    /// Its server has ended by itself.
    pub crashed: bool,
    /// Pod that is to lead; `None`: whichever has most.
    pub to: Option<&'a str>,
    /// One for each configured Sentinel; `None`: it did not answer.
    pub stances: &'a [Option<Stance>],
    /// The server of the pod.
    pub own: &'a Own,
    /// The other data pods that answered.
    pub copies: &'a [Copy],
}

/// Who is to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Data pod.
    pub to: String,
    /// The replicas that are to follow it.
    pub others: Vec<String>,
    /// Epoch that neither a Sentinel nor the pod knows of yet.
    pub epoch: u64,
    /// Sentinels that make a majority.
    pub majority: usize,
}

/// Decides whether the lead may be handed over, and to whom.
///
/// # Errors
/// Why not, its reason one of [`refusal`].
pub fn judge(scene: &Scene<'_>) -> Result<Choice, Refusal> {
    still_wanted(scene.names, scene.pod, scene.stances)?;
    if let Some(other) = scene.copies.iter().find(|copy| copy.leads) {
        let message = format!("{} leads beside {}", other.pod, scene.pod);
        return Err(Refusal::new(refusal::ANOTHER_LEADS, message));
    }
    let fit = scene.copies.iter().filter(|copy| is_fit(scene, copy));
    let best = match scene.to {
        Some(to) => fit.into_iter().find(|copy| copy.pod == to).ok_or_else(|| {
            let message = format!("{to} is not in sync with {}, or not known to be", scene.pod);
            Refusal::new(refusal::NOT_YET_IN_SYNC, message)
        })?,
        None => fit
            .max_by_key(|copy| (copy.offset, Reverse(scene.names.data_ordinal(&copy.pod))))
            .ok_or_else(|| {
                Refusal::new(
                    refusal::NO_CANDIDATE,
                    format!("no replica of {} is fit to lead", scene.pod),
                )
            })?,
    };
    // The chosen one counts on from what Sentinels say, and may never have heard how far this pod's epoch had come: its data
    // would pass for the older.
    let highest = scene
        .stances
        .iter()
        .flatten()
        .map(|stance| stance.highest_epoch.max(stance.vote.config_epoch))
        .fold(scene.epoch, u64::max);
    Ok(Choice {
        to: best.pod.clone(),
        others: scene
            .copies
            .iter()
            .filter(|copy| copy.pod != best.pod)
            .map(|copy| copy.pod.clone())
            .collect(),
        epoch: highest + 1,
        majority: scene.stances.len() / 2 + 1,
    })
}

/// Whether a majority of Sentinels names this pod, none knows better, and none is about to promote another.
///
/// # Errors
/// Why not, its reason one of [`refusal`].
pub fn still_wanted(names: &Names, pod: &str, stances: &[Option<Stance>]) -> Result<(), Refusal> {
    if stances.iter().flatten().any(|stance| stance.failing_over) {
        return Err(Refusal::new(
            refusal::FAILOVER_RUNNING,
            "a Sentinel carries out a failover",
        ));
    }
    let votes: Vec<Option<Vote>> = stances
        .iter()
        .map(|stance| stance.as_ref().map(|stance| stance.vote.clone()))
        .collect();
    match opinion(names, &votes) {
        Opinion::Majority { pod: primary, .. } if primary == pod => Ok(()),
        Opinion::Majority { pod: primary, .. } | Opinion::Moving { to: primary } => Err(
            Refusal::new(refusal::NOT_LEADING, format!("Sentinels name {primary}")),
        ),
        Opinion::None => Err(Refusal::new(
            refusal::NO_MAJORITY,
            format!("no majority of Sentinels answers and names {pod}"),
        )),
    }
}

/// Whether a lead that nobody has any more may be handed on without those who have not answered yet: a majority of Sentinels
/// has, and each replica that could have the most data, at least one. A planned handover waits for everybody, since nothing
/// stands still meanwhile.
#[must_use]
pub fn heard_enough(crashed: Option<&Own>, stances: &[Option<Stance>], pods: &[String]) -> bool {
    let heard = |pod| pods.contains(pod);
    crashed.is_some_and(|own| {
        stances.iter().flatten().count() > stances.len() / 2
            && own.fed.iter().any(heard)
            && own.acknowledging.iter().all(heard)
    })
}

/// Whether a replica may still have something of the crashed server's to read: the end of its stream comes last.
#[must_use]
pub fn still_reading(scene: &Scene<'_>) -> bool {
    scene.crashed
        && scene
            .copies
            .iter()
            .any(|copy| is_copy(scene, copy) && copy.link_up)
}

fn is_fit(scene: &Scene<'_>, copy: &Copy) -> bool {
    is_copy(scene, copy) && copy.link_up != scene.crashed
}

/// Whether this is a copy of the server's data and of nothing else.
fn is_copy(scene: &Scene<'_>, copy: &Copy) -> bool {
    copy.follows.as_deref() == Some(scene.pod)
        && copy.history == scene.own.history
        && scene.own.fed.contains(&copy.pod)
        && !copy.loading
        && copy.priority > 0
}
