//! Reads and writes together, as many as there can be.

use std::time::Duration;

use crate::engine::EngineBenchmark;
use crate::place::Place;
use crate::report::{Figure, Row};
use crate::rounds::{Contender, Load, Slice, compare};
use crate::work::{Agent, Ids, filled, there};

/// Of a hundred calls.
const WRITES: u8 = 20;
/// Connections of the engine's benchmark, each with one call under way, and loops of ours.
const AT_ONCE: usize = 50;

/// What is to be had on any machine, or this part of what the engine's own benchmark has on this one, whichever is less.
const CALLS_A_SECOND: f64 = 50_000.0;
const PART_OF_ENGINE: f64 = 0.8;
/// No answer is to take longer, but for one of a hundred.
const LONGEST_MS: f64 = 5.0;

/// Four reads to each write.
pub async fn mixed(
    place: &Place,
    rounds: usize,
    engine: EngineBenchmark,
) -> anyhow::Result<Figure> {
    let agents = filled(&place.bus()?).await?;
    let bytes = serde_json::to_vec(&Agent::new(crate::work::FIRST_ID))?.len();
    let ours = Contender::looping("cachebus", move |number, mut clock| {
        let agents = agents.clone();
        async move {
            let mut ids = Ids::of_loop(number);
            let mut writes = fastrand::Rng::with_seed(u64::try_from(number)?);
            while clock.begins() {
                let id = ids.draw();
                if writes.u8(..100) < WRITES {
                    agents.set(id, &Agent::new(id)).await?;
                } else {
                    there(agents.get(id).await?)?;
                }
                clock.ends();
            }
            Ok(clock)
        }
    });
    let engines = Contender::new("the engine's own benchmark", move |load: Load| {
        let engine = engine.clone();
        async move {
            Ok(Slice {
                rate: engine.mixed(load.at_once, WRITES, bytes).await?,
                laps: Vec::new(),
            })
        }
    });
    let load = Load {
        at_once: AT_ONCE,
        slice: Duration::from_millis(500),
        rounds,
    };
    let mut rows = compare(&[ours, engines], load).await?;
    let wanted = wanted(&rows);
    if let [ours, ..] = rows.as_mut_slice() {
        let reached = ours.value.is_some_and(|value| value >= wanted);
        let soon = ours.p99_ms.is_some_and(|p99| p99 < LONGEST_MS);
        let aim = format!("≥ {wanted:.0} calls/s, P99 < {LONGEST_MS} ms");
        *ours = ours.clone().aiming(aim, reached && soon);
    }
    Ok(Figure {
        name: format!(
            "Rust: {} reads to a write, {AT_ONCE} at a time",
            100 / WRITES - 1
        ),
        unit: "calls/s",
        rows,
    })
}

fn wanted(rows: &[Row]) -> f64 {
    let engine = rows.last().and_then(|row| row.value).unwrap_or_default();
    CALLS_A_SECOND.min(PART_OF_ENGINE * engine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_machine_is_measured_by_the_engines_own_benchmark() {
        let rows = |engine| [Row::new("cachebus", 1.0), Row::new("the engine's", engine)];
        assert!((wanted(&rows(40_000.0)) - 32_000.0).abs() < 1e-6);
        assert!((wanted(&rows(90_000.0)) - 50_000.0).abs() < 1e-6);
    }
}
