//! Which servers lead when, from questions put to each of them all the time.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::Micros;

/// What a server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It took the write.
    Leads,
    /// It is made to refuse writes, or has too few replicas.
    NoReplicas,
    /// It follows another, or is sealed.
    Follows,
    /// Anything else, or nothing.
    Silent,
}

/// A question that was put to one server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The server.
    pub node: String,
    /// When it was sent.
    pub started: Micros,
    /// When its outcome was known.
    pub ended: Micros,
    /// What came of it.
    pub answer: Answer,
}

/// Probes of one server that follow one another and had the same answer.
#[derive(Clone, Debug)]
struct Run {
    first: Probe,
    last: Probe,
}

/// All that was seen, in the order in which answers changed. It grows with the changes, not with the probes.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    runs: Vec<Run>,
}

impl Seen {
    /// Adds what a server was asked after all else that it was asked.
    pub fn add(&mut self, probe: Probe) {
        let last = self.runs.iter_mut().rfind(|run| run.node() == probe.node);
        match last.filter(|run| run.answer() == probe.answer) {
            Some(run) => run.last = probe,
            None => self.runs.push(Run {
                first: probe.clone(),
                last: probe,
            }),
        }
    }

    /// When a server first answered so, not before this time.
    pub fn first(&self, node: &str, answer: Answer, from: Micros) -> Option<Micros> {
        self.runs
            .iter()
            .filter(|run| run.node() == node && run.answer() == answer)
            .map(|run| run.first.ended)
            .find(|since| *since >= from)
    }

    /// Another server than this one that led, and since when.
    pub fn other(&self, node: &str) -> Option<(&str, Micros)> {
        self.leads()
            .find(|run| run.node() != node)
            .map(|run| (run.node(), run.first.ended))
    }

    /// Every server that led.
    pub fn primaries(&self) -> BTreeSet<&str> {
        self.leads().map(Run::node).collect()
    }

    /// How long more than one server led, as far as it is proven: a server surely leads from its first answer to the last
    /// question that it answered so. A shorter time than from question to question may go unseen.
    pub fn two_at_once(&self) -> Duration {
        // Each time that one begins or ends to lead; where both are at once, the end comes first.
        let mut turns: Vec<(Micros, i32)> = self
            .leads()
            .filter_map(|run| self.proven(run))
            .flat_map(|(since, until)| [(since, 1), (until, -1)])
            .collect();
        turns.sort_unstable();
        let (mut leading, mut since, mut total) = (0, 0, 0);
        for (at, change) in turns {
            if leading > 1 {
                total += at - since;
            }
            leading += change;
            since = at;
        }
        Duration::from_micros(total)
    }

    /// A single answer came at some moment of its question: it tells something only where another led all that time.
    fn proven(&self, run: &Run) -> Option<(Micros, Micros)> {
        if let Some(surely) = run.surely() {
            return Some(surely);
        }
        let (sent, heard) = (run.first.started, run.last.ended);
        let others = self.leads().filter(|other| other.node() != run.node());
        let mut others = others.filter_map(Run::surely);
        others
            .any(|(since, until)| since <= sent && heard <= until)
            .then_some((sent, heard))
    }

    fn leads(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.answer() == Answer::Leads)
    }
}

impl Run {
    fn node(&self) -> &str {
        &self.first.node
    }

    fn answer(&self) -> Answer {
        self.first.answer
    }

    fn surely(&self) -> Option<(Micros, Micros)> {
        let (since, until) = (self.first.ended, self.last.started);
        (since < until).then_some((since, until))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let began = self.runs.iter().map(|run| run.first.started).min();
        for (number, run) in self.runs.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let after = Duration::from_micros(run.first.ended - began.unwrap_or_default());
            let (node, answer) = (run.node(), run.answer());
            write!(f, "{comma}{:.1} s {node} {answer:?}", after.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(probes: &[(&str, Micros, Answer)]) -> Seen {
        let mut seen = Seen::default();
        for (node, at, answer) in probes {
            seen.add(Probe {
                node: (*node).to_owned(),
                started: *at,
                ended: at + 1,
                answer: *answer,
            });
        }
        seen
    }

    #[test]
    fn one_after_another_is_not_two_at_once() {
        let seen = seen(&[
            ("a", 0, Answer::Leads),
            ("a", 100, Answer::Leads),
            ("b", 50, Answer::Follows),
            ("a", 200, Answer::NoReplicas),
            ("b", 201, Answer::Leads),
            ("b", 300, Answer::Leads),
        ]);
        assert_eq!(seen.two_at_once(), Duration::ZERO);
        assert_eq!(seen.primaries().len(), 2);
        assert_eq!(seen.other("a"), Some(("b", 202)));
        assert_eq!(seen.first("a", Answer::Leads, 2), None);
    }

    #[test]
    fn two_at_once_are_counted_as_long_as_both_surely_led() {
        let seen = seen(&[
            ("a", 0, Answer::Leads),
            ("b", 20, Answer::Follows),
            ("a", 100, Answer::Leads),
            ("b", 120, Answer::Leads),
            ("a", 200, Answer::Leads),
            ("a", 300, Answer::Silent),
            ("b", 320, Answer::Leads),
        ]);
        assert_eq!(seen.two_at_once(), Duration::from_micros(79));
    }

    #[test]
    fn one_that_was_not_asked_again_after_another_led_proves_nothing() {
        let seen = seen(&[
            ("a", 0, Answer::Leads),
            ("a", 190, Answer::Leads),
            ("b", 200, Answer::Leads),
            ("a", 310, Answer::Follows),
            ("b", 900, Answer::Leads),
        ]);
        assert_eq!(seen.two_at_once(), Duration::ZERO);
    }

    #[test]
    fn a_single_answer_is_enough_where_another_led_all_the_while() {
        let moment = [
            ("a", 0, Answer::Leads),
            ("b", 40, Answer::Follows),
            ("b", 50, Answer::Leads),
            ("b", 60, Answer::Follows),
            ("a", 100, Answer::Leads),
        ];
        assert_eq!(seen(&moment).two_at_once(), Duration::from_micros(1));
        assert_eq!(seen(&moment[..4]).two_at_once(), Duration::ZERO);
    }
}
