//! Faults by chance, for a while: `cachebus-e2e soak`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use fastrand::Rng;

use super::row::name;
use super::{Fault, all, run};
use crate::diagnose;
use crate::lab::Lab;

/// How long, and which.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// No fault begins after this time.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Repeats the soak that printed this seed. By default the time.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// What happens at once, and the seed of what is left to chance in it.
struct Pick {
    faults: Vec<&'static Fault>,
    seed: u64,
}

/// One pick after another, the same ones of the same seed. The catalogue is gone through in an order by chance, and again; with
/// one of four a second fault begins meanwhile, where one of them leaves the bus at work.
fn picks(seed: u64) -> impl Iterator<Item = Pick> {
    let mut rng = Rng::with_seed(seed);
    let lasting: Vec<_> = all().into_iter().filter(|fault| fault.lasts).collect();
    let mut deck = Vec::new();
    std::iter::from_fn(move || {
        if deck.is_empty() {
            deck = all();
            rng.shuffle(&mut deck);
        }
        let first = deck.pop()?;
        let mut faults = vec![first];
        if !first.lasts && rng.u8(..4) == 0 {
            faults.insert(0, lasting[rng.usize(..lasting.len())]);
        }
        let seed = rng.u64(..);
        Some(Pick { faults, seed })
    })
}

/// Has faults befall one bus until the time is over. Whether every promise was kept.
pub async fn main(lab: &Lab, options: &Options) -> anyhow::Result<bool> {
    let lab = lab.of("soak");
    let seed = match options.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    lab.note(format_args!("seed {seed}"));
    let result = soak(&lab, seed, Duration::from_secs(options.minutes * 60)).await;
    if result.is_err() {
        diagnose::dump(&lab).await;
    }
    lab.clean_up().await?;
    result.with_context(|| format!("soak of seed {seed}"))
}

async fn soak(lab: &Lab, seed: u64, time: Duration) -> anyhow::Result<bool> {
    let bus = run::fresh_bus(lab).await?;
    let began = Instant::now();
    let (mut faults, mut acknowledged, mut two) = (0, 0, 0);
    let mut lost = (0, 0);
    let mut broken: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (number, pick) in picks(seed).enumerate() {
        if began.elapsed() >= time {
            break;
        }
        let row = run::one(lab, &bus, &pick.faults, number, pick.seed)
            .await
            .with_context(|| format!("number {number}, {}", name(&pick.faults)))?;
        lab.note(format_args!("number {number}, {row}"));
        faults += pick.faults.len();
        acknowledged += row.acknowledged;
        two += row.two_primaries_ms;
        lost = (lost.0 + row.lost_confirmed, lost.1 + row.lost_unconfirmed);
        if !row.broken.is_empty() {
            broken.insert(number, row.broken);
        }
    }
    lab.note(format_args!(
        "seed {seed}: {faults} faults in {:.0} s, {acknowledged} writes acknowledged, lost {} confirmed and {} other, two primaries {two} ms \
         in all; broken promises: {broken:?}",
        began.elapsed().as_secs_f64(),
        lost.0,
        lost.1,
    ));
    Ok(broken.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(seed: u64, count: usize) -> Vec<(String, u64)> {
        let picks = picks(seed).take(count);
        picks.map(|pick| (name(&pick.faults), pick.seed)).collect()
    }

    #[test]
    fn a_seed_gives_the_same_faults_and_another_gives_others() {
        assert_eq!(names(7, 100), names(7, 100));
        assert_ne!(names(7, 100), names(8, 100));
    }

    #[test]
    fn every_fault_comes_before_any_comes_again() {
        let count = all().len();
        let once = picks(3).take(count);
        let seen: BTreeSet<&str> = once
            .filter_map(|pick| pick.faults.last().map(|fault| fault.name))
            .collect();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn of_two_at_once_the_first_leaves_the_bus_at_work() {
        let pairs: Vec<Pick> = picks(5)
            .take(400)
            .filter(|pick| pick.faults.len() > 1)
            .collect();
        assert!(pairs.len() > 50, "{}", pairs.len());
        assert!(
            pairs
                .iter()
                .all(|pick| pick.faults[0].lasts && !pick.faults[1].lasts)
        );
    }
}
