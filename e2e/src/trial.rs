//! One fault under load, and what it has cost.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use cachebus_api::status::LastFailover;
use cachebus_e2e::history::{Gap, Verdict, check, gaps};
use serde::Serialize;

use crate::bus::Bus;
use crate::faults::{self, Fault};
use crate::load::{self, Load, Style};
use crate::watch::Watch;

/// A thousand writes a second; a write is acknowledged when the primary says so.
pub const USUAL: Style = Style {
    rate: 1000,
    confirm: 0,
    confirm_python: 0,
};

/// How long the load goes on by itself, before the fault and after all is well again.
const AROUND: Duration = Duration::from_secs(3);

/// Time for a bus to be whole again.
const WHOLE: Duration = Duration::from_mins(4);

/// What a fault has cost.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// Who led before.
    pub from: String,
    /// Who leads after.
    pub to: String,
    /// What became of writes and reads.
    pub verdict: Verdict,
    /// The longest time without an acknowledged write, by path.
    pub gaps: BTreeMap<String, Gap>,
    /// How long two servers took writes.
    pub two_primaries_ms: u64,
    /// From the fault until all was well again. A node that is away is away in this time.
    pub whole_after_ms: u64,
    /// What the bus itself says of the gap.
    pub reported_gap_ms: Option<u64>,
}

/// Has a fault befall the primary of a bus that is well.
pub async fn run(bus: &Bus, name: &str, fault: Fault, style: Style) -> anyhow::Result<Trial> {
    let running = Running::begin(bus, name, style, fault.takes_the_node()).await?;
    fault.befall(bus, &running.from).await?;
    running.end().await
}

/// A trial of which the load is on, for something to happen to the bus.
pub struct Running {
    bus: Bus,
    name: String,
    /// Who leads.
    pub from: String,
    known: Option<LastFailover>,
    load: Load,
    watch: Watch,
    began: Instant,
}

impl Running {
    /// Waits until the bus is well, and begins to write. `apart`: the primary's node is to go away, and the clients are not
    /// to be there.
    pub async fn begin(bus: &Bus, name: &str, style: Style, apart: bool) -> anyhow::Result<Self> {
        faults::rested(bus).await?;
        if apart {
            faults::move_off_control_plane(bus).await?;
        }
        let from = faults::healthy(bus, WHOLE).await?;
        let node = faults::node_of(bus, &from).await?;
        let known = last_failover(bus).await?;
        let load = Load::start(bus, name, style, apart.then_some(node.as_str())).await?;
        let watch = Watch::start(bus);
        tokio::time::sleep(AROUND).await;
        Ok(Self {
            bus: bus.clone(),
            name: name.to_owned(),
            from,
            known,
            load,
            watch,
            began: Instant::now(),
        })
    }

    /// Waits until all is well again, ends the load and judges.
    pub async fn end(self) -> anyhow::Result<Trial> {
        let to = faults::healthy(&self.bus, WHOLE).await?;
        let whole_after = self.began.elapsed();
        tokio::time::sleep(AROUND).await;
        let seen = self.watch.seen();
        let history = self.load.stop().await?;
        let finals = load::finals(&self.bus, &self.name).await?;
        let told = last_failover(&self.bus)
            .await?
            .filter(|told| self.known.as_ref() != Some(told));
        Ok(Trial {
            from: self.from,
            to,
            verdict: check(&history, &finals),
            gaps: gaps(&history),
            two_primaries_ms: ms(seen.two_at_once()),
            whole_after_ms: ms(whole_after),
            reported_gap_ms: told.and_then(|told| told.write_gap_ms),
        })
    }
}

async fn last_failover(bus: &Bus) -> anyhow::Result<Option<LastFailover>> {
    let status = bus.object().await?.status;
    Ok(status.and_then(|status| status.last_failover))
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict {
            acknowledged,
            lost,
            unknown,
            reads,
            stale,
            errors,
            ..
        } = &self.verdict;
        write!(f, "{} to {}; gap", self.from, self.to)?;
        for (path, gap) in &self.gaps {
            write!(f, " {path} {} ms", gap.ms())?;
        }
        write!(
            f,
            "; {acknowledged} acknowledged, {lost} lost, {unknown} unknown, {reads} reads, {stale:?} stale; never: {:?}; \
             two primaries {} ms; whole after {} ms; the bus says {:?}; errors {errors:?}",
            self.verdict.impossible(),
            self.two_primaries_ms,
            self.whole_after_ms,
            self.reported_gap_ms,
        )
    }
}
