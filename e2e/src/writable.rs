//! Who took writes when: a write to every data pod, all the time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use crate::bus::Bus;
use crate::nodes::{Node, Place};

/// Pause between two writes to a pod.
const PAUSE: Duration = Duration::from_millis(100);

/// What a pod answered to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It took it.
    Took,
    /// It is made to refuse writes, or has too few replicas.
    NoReplicas,
    /// It follows another.
    ReadOnly,
    /// Anything else, or nothing.
    Silent,
}

#[derive(Clone, Debug)]
struct Change {
    after: Duration,
    pod: String,
    answer: Answer,
}

/// Writes to every data pod until it is dropped.
pub struct Writers {
    changes: Arc<Mutex<Vec<Change>>>,
    began: Instant,
    _tasks: JoinSet<()>,
}

/// What [`Writers`] saw so far.
pub struct Seen(Vec<Change>);

impl Writers {
    /// Begins to write this key, as this service.
    pub fn start(bus: &Bus, service: &'static str, key: &'static str) -> Self {
        let changes = Arc::default();
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for place in bus.data_places() {
            let writer = Writer {
                bus: bus.clone(),
                place,
                service,
                key,
            };
            tasks.spawn(writer.run(began, Arc::clone(&changes)));
        }
        Self {
            changes,
            began,
            _tasks: tasks,
        }
    }

    /// Time since it began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        Seen(changes.clone())
    }
}

struct Writer {
    bus: Bus,
    place: Place,
    service: &'static str,
    key: &'static str,
}

impl Writer {
    async fn run(self, began: Instant, changes: Arc<Mutex<Vec<Change>>>) {
        let mut last = None;
        let mut session = None;
        loop {
            let answer = match self.write(&mut session).await {
                Ok(()) => Answer::Took,
                Err(error) => refused(&error),
            };
            if last != Some(answer) {
                last = Some(answer);
                let change = Change {
                    after: began.elapsed(),
                    pod: self.place.pod.clone(),
                    answer,
                };
                changes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(change);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn write(&self, session: &mut Option<Node>) -> anyhow::Result<()> {
        let node = if let Some(node) = session.take() {
            node
        } else {
            let access = self.bus.access().await?;
            Node::open(&self.bus.client, &access, &self.place, self.service).await?
        };
        let written = node.call::<()>(&["SET", self.key, "v", "EX", "600"]).await;
        // One that refuses a write goes on answering.
        if written
            .as_ref()
            .err()
            .is_none_or(|error| refused(error) != Answer::Silent)
        {
            *session = Some(node);
        }
        written
    }
}

fn refused(error: &anyhow::Error) -> Answer {
    let said = format!("{error:#}").to_ascii_uppercase();
    if said.contains("NOREPLICAS") || said.contains("NOT ENOUGH GOOD REPLICAS") {
        Answer::NoReplicas
    } else if said.contains("READONLY") || said.contains("READ ONLY") {
        Answer::ReadOnly
    } else {
        Answer::Silent
    }
}

impl Seen {
    /// When a pod first answered so, not before this time.
    pub fn first(&self, pod: &str, answer: Answer, from: Duration) -> anyhow::Result<Duration> {
        self.0
            .iter()
            .filter(|change| change.pod == pod && change.answer == answer)
            .map(|change| change.after)
            .find(|after| *after >= from)
            .with_context(|| format!("{pod} has not answered {answer:?}: {self}"))
    }

    /// When another pod than this one first took a write, and which.
    pub fn other(&self, pod: &str) -> anyhow::Result<(String, Duration)> {
        self.0
            .iter()
            .find(|change| change.pod != pod && change.answer == Answer::Took)
            .map(|change| (change.pod.clone(), change.after))
            .with_context(|| format!("no other has taken a write: {self}"))
    }

    /// Fails where a pod took a write after this time.
    pub fn took_none_after(&self, pod: &str, time: Duration) -> anyhow::Result<()> {
        let took = self.first(pod, Answer::Took, time);
        ensure!(took.is_err(), "{pod} took writes again: {self}");
        Ok(())
    }

    /// Fails where two pods took writes at the same time.
    pub fn never_two(&self) -> anyhow::Result<()> {
        let mut changes = self.0.clone();
        changes.sort_by_key(|change| change.after);
        let mut now: BTreeMap<&str, Answer> = BTreeMap::new();
        for change in &changes {
            now.insert(&change.pod, change.answer);
            let taking = now.values().filter(|answer| **answer == Answer::Took);
            ensure!(taking.count() < 2, "two take writes: {self}");
        }
        Ok(())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Change { after, pod, answer }) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{:.1} s {pod} {answer:?}", after.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn seen(changes: &[(u64, &str, Answer)]) -> Seen {
        Seen(
            changes
                .iter()
                .map(|(ms, pod, answer)| Change {
                    after: Duration::from_millis(*ms),
                    pod: (*pod).to_owned(),
                    answer: *answer,
                })
                .collect(),
        )
    }

    #[test]
    fn who_refused_before_the_other_took_is_not_two() {
        let history = seen(&[
            (0, "a", Answer::Took),
            (100, "a", Answer::NoReplicas),
            (200, "b", Answer::Took),
        ]);
        assert!(history.never_two().is_ok());
        assert_eq!(history.other("a").unwrap().0, "b");
        assert!(
            history
                .took_none_after("a", Duration::from_millis(1))
                .is_ok()
        );
    }

    #[test]
    fn two_are_seen_in_whatever_order_they_were_recorded() {
        let history = seen(&[
            (0, "a", Answer::Took),
            (300, "a", Answer::ReadOnly),
            (200, "b", Answer::Took),
        ]);
        assert!(history.never_two().is_err());
    }

    #[test]
    fn a_write_that_was_taken_again_is_told() {
        let history = seen(&[
            (0, "a", Answer::Took),
            (100, "a", Answer::NoReplicas),
            (300, "a", Answer::Took),
        ]);
        let fenced = Duration::from_millis(100);
        assert!(history.took_none_after("a", fenced).is_err());
    }

    #[test]
    fn refusals_are_told_apart_by_their_word() {
        let said = |text: &'static str| refused(&anyhow::anyhow!(text));
        assert_eq!(
            said("NOREPLICAS: Not enough good replicas"),
            Answer::NoReplicas
        );
        assert_eq!(
            said("An error: ReadOnly - You can't write"),
            Answer::ReadOnly
        );
        assert_eq!(said("no answer within 5 s"), Answer::Silent);
    }
}
