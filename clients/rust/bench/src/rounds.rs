//! Calls made one after the other in loops that go on at the same time, by each contender in turn, round by round.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::task::JoinSet;

use crate::report::Row;
use crate::summary::{count, median, millis, percentile, ratio};

/// How much is done in one slice of a round.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Loops that go on at the same time, each with one call under way.
    pub at_once: usize,
    /// How long they go on.
    pub slice: Duration,
    /// Rounds that count. One before them does not.
    pub rounds: usize,
}

/// Tells one loop whether it is to go on, and keeps how long its calls took.
#[derive(Debug)]
pub struct Clock {
    until: Instant,
    begun: Instant,
    laps: Vec<u32>,
}

impl Clock {
    fn until(until: Instant) -> Self {
        Self {
            until,
            begun: until,
            laps: Vec::new(),
        }
    }

    /// A call begins, unless the time is up.
    pub fn begins(&mut self) -> bool {
        self.begun = Instant::now();
        self.begun < self.until
    }

    /// The call has ended.
    pub fn ends(&mut self) {
        self.laps.push(nanos(self.begun.elapsed()));
    }
}

/// A time as a sample: at most 4.2 s.
pub fn nanos(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}

/// What one contender did in a slice.
#[derive(Debug)]
pub struct Slice {
    /// Calls a second.
    pub rate: f64,
    /// How long each call took, in nanoseconds; none where nobody looked.
    pub laps: Vec<u32>,
}

type Play = Box<dyn Fn(Load) -> BoxFuture<'static, anyhow::Result<Slice>> + Send + Sync>;

/// One way of doing the work.
pub struct Contender {
    who: String,
    play: Play,
    /// Ours is to be so many times as fast.
    aim: Option<f64>,
}

impl Contender {
    /// One that plays a slice as it likes.
    pub fn new<F>(who: impl Into<String>, play: impl Fn(Load) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<Slice>> + Send + 'static,
    {
        Self {
            who: who.into(),
            play: Box::new(move |load| play(load).boxed()),
            aim: None,
        }
    }

    /// One whose loops are what `make` makes of the loop's number and its clock.
    pub fn looping<F>(
        who: impl Into<String>,
        make: impl Fn(usize, Clock) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<Clock>> + Send + 'static,
    {
        let make = Arc::new(make);
        Self::new(who, move |load| {
            let make = Arc::clone(&make);
            async move {
                let begun = Instant::now();
                let mut loops = JoinSet::new();
                for number in 0..load.at_once {
                    loops.spawn(make(number, Clock::until(begun + load.slice)));
                }
                let mut laps = Vec::new();
                while let Some(ended) = loops.join_next().await {
                    laps.extend(ended??.laps);
                }
                Ok(Slice {
                    rate: count(laps.len()) / begun.elapsed().as_secs_f64(),
                    laps,
                })
            }
        })
    }

    /// The contender, of which ours is to be so many times as fast.
    #[must_use]
    pub fn aim(mut self, times: f64) -> Self {
        self.aim = Some(times);
        self
    }
}

/// All rounds of one contender.
struct Course {
    rates: Vec<f64>,
    laps: Vec<u32>,
}

/// Plays all rounds; a row for each contender, of which the first is ours. Each round begins with another contender.
pub async fn compare(contenders: &[Contender], load: Load) -> anyhow::Result<Vec<Row>> {
    let mut courses: Vec<Course> = contenders
        .iter()
        .map(|_| Course {
            rates: Vec::new(),
            laps: Vec::new(),
        })
        .collect();
    for round in 0..=load.rounds {
        for turn in 0..contenders.len() {
            let turn = (turn + round) % contenders.len();
            let slice = (contenders[turn].play)(load).await?;
            if round > 0 {
                courses[turn].rates.push(slice.rate);
                courses[turn].laps.extend(slice.laps);
            }
        }
    }
    Ok(rows(contenders, courses))
}

fn rows(contenders: &[Contender], courses: Vec<Course>) -> Vec<Row> {
    let ours = courses
        .first()
        .map(|ours| ours.rates.clone())
        .unwrap_or_default();
    std::iter::zip(contenders, courses)
        .enumerate()
        .map(|(place, (contender, mut course))| {
            let row = Row {
                value: median(&course.rates),
                ratio: ratio(&ours, &course.rates).filter(|_| place > 0),
                p50_ms: percentile(&mut course.laps, 50).map(millis),
                p99_ms: percentile(&mut course.laps, 99).map(millis),
                ..Row::new(contender.who.as_str(), 0.0)
            };
            match contender.aim {
                Some(times) => row.at_least(times),
                None => row,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;

    use super::*;

    const LOAD: Load = Load {
        at_once: 3,
        slice: Duration::ZERO,
        rounds: 2,
    };

    #[tokio::test]
    async fn contenders_take_turns_and_the_first_round_does_not_count() {
        let played = Arc::new(Mutex::new(String::new()));
        let contender = |who: &'static str, rates: [f64; 3]| {
            let played = Arc::clone(&played);
            let rates = Arc::new(Mutex::new(rates.to_vec()));
            Contender::new(who, move |_| {
                played.lock().unwrap().push_str(who);
                let rate = rates.lock().unwrap().remove(0);
                async move {
                    let laps = vec![2_000_000];
                    Ok(Slice { rate, laps })
                }
            })
        };
        let contenders = [
            contender("a", [1.0, 90.0, 50.0]),
            contender("b", [1.0, 100.0, 50.0]).aim(0.9),
        ];
        let rows = compare(&contenders, LOAD).await.unwrap();
        assert_eq!(*played.lock().unwrap(), "abbaab");
        assert_eq!((rows[0].value, rows[0].ratio), (Some(70.0), None));
        assert_eq!((rows[1].value, rows[1].ratio), (Some(75.0), Some(0.95)));
        assert_eq!((rows[1].met, rows[1].p99_ms), (Some(true), Some(2.0)));
    }

    #[tokio::test]
    async fn a_loop_that_fails_fails_the_slice() {
        let fails = Contender::looping("a", |number, mut clock| async move {
            assert!(!clock.begins());
            clock.ends();
            anyhow::ensure!(number != 1, "the second");
            Ok(clock)
        });
        let error = compare(&[fails], LOAD).await.unwrap_err();
        assert_eq!(error.to_string(), "the second");
    }
}
