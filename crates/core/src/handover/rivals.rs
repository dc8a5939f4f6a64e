//! Whom a Sentinel may promote that does its own failover: it chooses by itself, by priority first and by what it was last told.

use super::{Copy, refusal};
use crate::names::Names;
use crate::protocol::Refusal;

/// `replica-priority` of the one that a Sentinel is to prefer. Its agent sets the usual one again at its next look.
pub const FIRST_CHOICE: u32 = 1;

/// A replica, as a Sentinel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Host that it announces.
    pub host: String,
    /// The Sentinel does not reach it.
    pub down: bool,
    /// `replica-priority`, as it last said.
    pub priority: u32,
}

/// The offset of the data pod that has least of this history. Each of the `replicas` besides `pod` is needed: who is silent here
/// may answer the Sentinel.
///
/// # Errors
/// One of them is no copy of it, or did not answer: [`refusal::NOT_IN_SYNC`].
pub fn hindmost(
    names: &Names,
    replicas: u32,
    pod: &str,
    history: &str,
    copies: &[Copy],
) -> Result<u64, Refusal> {
    let offsets = others(names, replicas, pod).map(|other| {
        copies
            .iter()
            .find(|copy| copy.pod == other)
            .filter(|copy| !copy.leads && !copy.loading && copy.history == history)
            .map(|copy| copy.offset)
            .ok_or_else(|| {
                let message = format!("{other} is not in sync, and Sentinels could promote it");
                Refusal::new(refusal::NOT_IN_SYNC, message)
            })
    });
    let offsets: Vec<u64> = offsets.collect::<Result<_, _>>()?;
    offsets.into_iter().min().ok_or_else(|| {
        let message = format!("there is no data pod besides {pod}");
        Refusal::new(refusal::NO_CANDIDATE, message)
    })
}

/// Whether a Sentinel that knows these replicas could promote one of the data pods besides `pod` and nobody else: of these `to`,
/// where it is given, once the Sentinel has heard that it is the [`FIRST_CHOICE`].
///
/// # Errors
/// Why not, its reason one of [`refusal`].
pub fn promotes(
    names: &Names,
    replicas: u32,
    pod: &str,
    to: Option<&str>,
    known: &[Known],
) -> Result<(), Refusal> {
    let mut promotable = known
        .iter()
        .filter(|replica| !replica.down && replica.priority > 0)
        .map(|replica| {
            let known = names.data_pod_of_host(&replica.host);
            let known = known.filter(|known| others(names, replicas, pod).any(|pod| pod == *known));
            known.map(|pod| (pod, replica.priority)).ok_or_else(|| {
                let message = format!("Sentinels could promote {}", replica.host);
                Refusal::new(refusal::NOT_IN_SYNC, message)
            })
        })
        .collect::<Result<Vec<_>, _>>()?
        .into_iter();
    let is_wanted = |(pod, priority): (String, u32)| match to {
        Some(to) => pod == to && priority == FIRST_CHOICE,
        None => true,
    };
    if promotable.any(is_wanted) {
        return Ok(());
    }
    let whom = to.unwrap_or("any replica");
    let message = format!("no Sentinel that names {pod} would promote {whom}");
    Err(Refusal::new(refusal::NO_CANDIDATE, message))
}

/// The data pods of a bus besides one.
pub fn others<'a>(
    names: &'a Names,
    replicas: u32,
    pod: &'a str,
) -> impl Iterator<Item = String> + use<'a> {
    names.data_pods(replicas).filter(move |other| other != pod)
}
