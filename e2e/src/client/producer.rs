//! A service that emits durable events, each until it is acknowledged, and keeps a history of what it was told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus::{CacheBus, Outcome, Source};
use cachebus_e2e::deliveries::{Data, Emission, EventId, Key, Record, contract};
use cachebus_e2e::history;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::log::Log;
use crate::say::say_json;

/// Keys of a producer.
const KEYS: u16 = 150;

/// Events of a producer that are on their way at once, each of another key.
const LANES: u16 = 30;

/// Between a call that failed and the next one: the client has tried for its deadline by then.
const PAUSE: Duration = Duration::from_millis(100);

/// What is to be done.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Which of the producers this is: they share no key.
    #[arg(long)]
    number: u16,
    /// Events a second, when nothing hinders it.
    #[arg(long)]
    rate: u32,
    /// Says so when so many were acknowledged, and goes on.
    #[arg(long)]
    events: u64,
    /// Stops by itself then, seconds.
    #[arg(long, default_value_t = 1800)]
    limit: u64,
    /// Where the history goes.
    #[arg(long, default_value = "/history")]
    folder: PathBuf,
}

/// What all lanes share.
struct Producer {
    number: u16,
    bus: CacheBus,
    log: Log,
    acknowledged: AtomicU64,
    /// Of which number of acknowledged events is told.
    told_of: u64,
}

/// Emits until SIGTERM or the time limit, and then waits to be killed: the history is fetched from the running pod.
pub async fn run(binding: &Path, options: Options) -> anyhow::Result<()> {
    let mut told = signal(SignalKind::terminate())?;
    let producer = Arc::new(Producer {
        number: options.number,
        bus: CacheBus::open(Source::folder(binding))?,
        log: Log::create(&options.folder)?,
        acknowledged: AtomicU64::new(0),
        told_of: options.events,
    });
    let (stop, stopped) = watch::channel(false);
    let period = Duration::from_secs(1) * u32::from(LANES) / options.rate.max(1);
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let (producer, stopped) = (Arc::clone(&producer), stopped.clone());
        lanes.spawn(async move { producer.emit_all(lane, period, stopped).await });
    }
    // Whichever comes first; what trying again does not mend ends it all.
    tokio::select! {
        _ = told.recv() => {}
        () = tokio::time::sleep(Duration::from_secs(options.limit)) => {}
        Some(ended) = lanes.join_next() => return ended?.context("a lane ended"),
    }
    stop.send_replace(true);
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    let records = producer.log.close()?;
    say_json(&serde_json::json!({"records": records}))?;
    std::future::pending().await
}

impl Producer {
    /// Emits events of some keys, one after the other.
    async fn emit_all(
        &self,
        lane: u16,
        period: Duration,
        mut stopped: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut beat = interval(period);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut keys: Vec<(Key, u32)> = (lane..KEYS)
            .step_by(usize::from(LANES))
            .map(|number| {
                let producer = self.number;
                (Key { producer, number }, 0)
            })
            .collect();
        loop {
            tokio::select! {
                biased;
                _ = stopped.changed() => return Ok(()),
                _ = beat.tick() => {}
            }
            let chosen = fastrand::usize(..keys.len());
            let (key, next) = &mut keys[chosen];
            let event = EventId {
                key: *key,
                sequence: *next,
            };
            *next += 1;
            let emission = self.emit(event, &stopped).await?;
            let acknowledged = emission.acknowledged;
            self.log.add(&Record::Emitted(emission))?;
            if acknowledged {
                self.count()?;
            }
            if *stopped.borrow() {
                return Ok(());
            }
        }
    }

    /// Emits an event until it is acknowledged, or this is stopped.
    async fn emit(&self, id: EventId, stopped: &watch::Receiver<bool>) -> anyhow::Result<Emission> {
        let events = self.bus.events();
        let event = events.event(contract::CHANNEL, &Data::from(id))?;
        let event = event.with_event_id(id);
        let mut failures: BTreeMap<String, u64> = BTreeMap::new();
        let acknowledged = loop {
            match events.emit(&event).await {
                Ok(emitted) => {
                    let sent = emitted.outcome != Outcome::Disabled;
                    ensure!(sent, "{id}: events are switched off");
                    break true;
                }
                Err(error) if error.is_retryable() => {
                    *failures.entry(error.kind().to_string()).or_default() += 1;
                }
                Err(error) => return Err(error).with_context(|| id.to_string()),
            }
            if *stopped.borrow() {
                break false;
            }
            tokio::time::sleep(PAUSE).await;
        };
        Ok(Emission {
            event: id,
            acknowledged,
            ended: history::now(),
            failures,
        })
    }

    fn count(&self) -> anyhow::Result<()> {
        let count = self.acknowledged.fetch_add(1, Ordering::Relaxed) + 1;
        if count == 1 {
            say_json(&serde_json::json!({"emitting": true}))?;
        }
        if count == self.told_of {
            say_json(&serde_json::json!({"reached": count}))?;
        }
        Ok(())
    }
}
