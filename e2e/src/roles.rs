//! Who was primary when: every data pod's ROLE, sampled all the time.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;

use crate::bus::Bus;
use crate::nodes::{Node, OPERATOR, Place};

/// Pause between two samples of a pod.
const PAUSE: Duration = Duration::from_millis(100);

/// What one pod said for a while.
#[derive(Clone, Debug)]
struct Change {
    /// When it first said so.
    after: Duration,
    /// When it was last asked of those times that it said so.
    until: Duration,
    pod: String,
    role: Role,
}

/// What one pod said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It does not answer.
    Silent,
    /// It takes writes, or would.
    Primary,
    /// It follows another, or is sealed.
    Replica,
}

/// Samples the roles of a bus until it is told to stop.
pub struct Sampler {
    changes: Arc<Mutex<Vec<Change>>>,
    tasks: JoinSet<()>,
}

/// What a [`Sampler`] saw.
pub struct History(Vec<Change>);

impl Sampler {
    /// Begins to sample. A bus whose Secrets are not there yet is sampled once they are.
    pub fn start(bus: &Bus) -> Self {
        let changes = Arc::default();
        let mut tasks = JoinSet::new();
        let began = Instant::now();
        for place in bus.data_places() {
            tasks.spawn(sample(bus.clone(), place, began, Arc::clone(&changes)));
        }
        Self { changes, tasks }
    }

    /// Stops, and tells what was seen.
    pub async fn stop(mut self) -> History {
        self.tasks.shutdown().await;
        History(
            self.changes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

async fn sample(bus: Bus, place: Place, began: Instant, changes: Arc<Mutex<Vec<Change>>>) {
    let mut session = None;
    loop {
        let until = began.elapsed();
        let role = role(&bus, &place, &mut session)
            .await
            .unwrap_or(Role::Silent);
        {
            let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
            let last = changes.iter_mut().rfind(|last| last.pod == place.pod);
            match last.filter(|last| last.role == role) {
                Some(last) => last.until = until,
                None => changes.push(Change {
                    after: began.elapsed(),
                    until,
                    pod: place.pod.clone(),
                    role,
                }),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn role(bus: &Bus, place: &Place, session: &mut Option<Node>) -> anyhow::Result<Role> {
    let node = match session.take() {
        Some(node) => node,
        None => Node::open(&bus.client, &bus.access().await?, place, OPERATOR).await?,
    };
    let role = if node.role().await? == "master" {
        Role::Primary
    } else {
        Role::Replica
    };
    *session = Some(node);
    Ok(role)
}

impl History {
    /// Drops what was seen until every pod had died: `primary` was rightly the primary until then.
    pub fn forget_before_silence(&mut self, primary: &str) {
        let died = |change: &Change| change.pod == primary && change.role == Role::Silent;
        if let Some(death) = self
            .0
            .iter()
            .filter(|change| died(change))
            .map(|change| change.after)
            .min()
        {
            self.0.retain(|change| change.after > death);
        }
    }

    /// Every pod that was seen as primary.
    pub fn primaries(&self) -> BTreeSet<&str> {
        self.0
            .iter()
            .filter(|change| change.role == Role::Primary)
            .map(|change| change.pod.as_str())
            .collect()
    }

    /// Fails where two pods were primary at the same time: one still said so when it was asked after the other had.
    pub fn never_two_primaries(&self) -> anyhow::Result<()> {
        let leads: Vec<&Change> = self
            .0
            .iter()
            .filter(|change| change.role == Role::Primary)
            .collect();
        for (number, one) in leads.iter().enumerate() {
            for other in &leads[..number] {
                let together = one.after.max(other.after) < one.until.min(other.until);
                ensure!(
                    one.pod == other.pod || !together,
                    "two primaries: {} and {} in {self}",
                    other.pod,
                    one.pod
                );
            }
        }
        Ok(())
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (
            number,
            Change {
                after, pod, role, ..
            },
        ) in self.0.iter().enumerate()
        {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{:.1} s {pod} {role:?}", after.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(changes: &[(u64, u64, &str, Role)]) -> History {
        History(
            changes
                .iter()
                .map(|(after, until, pod, role)| Change {
                    after: Duration::from_millis(*after),
                    until: Duration::from_millis(*until),
                    pod: (*pod).to_owned(),
                    role: *role,
                })
                .collect(),
        )
    }

    #[test]
    fn one_after_another_is_not_two_at_once() {
        let seen = history(&[
            (0, 90, "b-redis-0", Role::Primary),
            (100, 900, "b-redis-0", Role::Silent),
            (200, 900, "b-redis-1", Role::Primary),
        ]);
        assert!(seen.never_two_primaries().is_ok());
        assert_eq!(seen.primaries().len(), 2);
    }

    #[test]
    fn two_at_once_are_seen_in_whatever_order_they_were_recorded() {
        let seen = history(&[
            (0, 290, "b-redis-0", Role::Primary),
            (300, 900, "b-redis-0", Role::Replica),
            (100, 900, "b-redis-1", Role::Primary),
        ]);
        assert!(seen.never_two_primaries().is_err());
    }

    #[test]
    fn one_that_was_not_asked_again_after_another_led_proves_nothing() {
        let seen = history(&[
            (0, 190, "b-redis-0", Role::Primary),
            (310, 900, "b-redis-0", Role::Replica),
            (200, 900, "b-redis-1", Role::Primary),
        ]);
        assert!(seen.never_two_primaries().is_ok());
    }
}
