//! A service that handles durable events, and keeps a history of what it has done that outlives its being killed.

use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use cachebus::{CacheBus, Event, EventFailure, Metrics, Source};
use cachebus_e2e::deliveries::{Data, EventId, Failure, Handling, Record, contract};
use cachebus_e2e::history;
use tokio::signal::unix::{SignalKind, signal};

use crate::log::Log;
use crate::say::say_json;

/// Events that are handled at the same time, each of another key.
const HANDLERS: usize = 8;

/// What is to be done.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where the history goes.
    #[arg(long, default_value = "/history")]
    folder: PathBuf,
}

/// Handles events until SIGTERM, and then waits to be killed: the history is fetched from the running pod. In its pod a process
/// that follows one which was killed is the same consumer: its name is the pod's.
pub async fn run(binding: &Path, options: Options) -> anyhow::Result<()> {
    let mut told = signal(SignalKind::terminate())?;
    let log = Arc::new(Log::resume(&options.folder)?);
    let bus = CacheBus::builder(Source::folder(binding))
        .metrics(Arc::new(Counted(Arc::clone(&log))))
        .open()?;
    let handled = Arc::clone(&log);
    let consumer = bus
        .events()
        .consumer()
        .concurrency(HANDLERS)
        .ordered_by(key)
        .on(contract::CHANNEL, move |event| {
            ready(handle(&handled, &event))
        })?;
    let stopper = consumer.stopper();
    let mut consuming = tokio::spawn(consumer.run());
    say_json(&serde_json::json!({"consuming": true}))?;
    tokio::select! {
        _ = told.recv() => stopper.stop(),
        ended = &mut consuming => {
            ended?.context("what waiting does not mend")?;
            anyhow::bail!("the consumer ended though nobody stopped it");
        }
    }
    consuming.await??;
    let records = log.close()?;
    say_json(&serde_json::json!({"records": records}))?;
    std::future::pending().await
}

/// Events of one key are handled one after the other. What is no event of a producer is ordered by itself, and fails later.
fn key(event: &Event) -> String {
    let id = event.event_id.parse::<EventId>();
    id.map_or_else(|_| event.event_id.clone(), |id| id.key.to_string())
}

/// Writes an event down. It is in the file when this returns.
fn handle(log: &Log, event: &Event) -> anyhow::Result<()> {
    let id: EventId = event.event_id.parse()?;
    let data: Data = event.data()?;
    ensure!(data == Data::from(id), "{id} tells of another event");
    log.add(&Record::Handled(Handling {
        event: id,
        deliveries: event.deliveries,
        ended: history::now(),
    }))
}

/// Writes down what a consumer counts as an error.
struct Counted(Arc<Log>);

impl Metrics for Counted {
    fn event_error(&self, _channel: &str, reason: EventFailure, events: u64) {
        // What cannot be written down fails in a handler.
        let _ = self.0.add(&Record::Failed(Failure {
            reason: reason.as_str().to_owned(),
            events,
            at: history::now(),
        }));
    }
}
