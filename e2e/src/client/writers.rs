//! Writers and readers that keep a history of all they do, until they are told to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use cachebus_e2e::cells::Way;
use cachebus_e2e::history::{self, Outcome, Read, Record, Write, code, contract};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::binding::Binding;
use crate::door::Door;
use crate::log::Log;
use crate::say::say_json;

/// Time for an answer.
const ANSWER: Duration = Duration::from_secs(1);

/// Time for replicas to confirm a write, milliseconds: well within that for an answer.
const CONFIRMED_MS: u64 = 500;

/// Between a failure and the next attempt.
const PAUSE: Duration = Duration::from_millis(5);

/// Between two questions of a reader.
const LOOK: Duration = Duration::from_millis(20);

/// What is to be done.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Marks the values, so that those of two loads differ.
    #[arg(long)]
    run: String,
    /// Acknowledged writes a second of all writers together, when nothing hinders them.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Replicas that have to have a write before it counts as acknowledged.
    #[arg(long, default_value_t = 0)]
    confirm: u32,
    /// Stops by itself then, seconds.
    #[arg(long, default_value_t = 600)]
    limit: u64,
    /// Where the history goes.
    #[arg(long, default_value = "/history")]
    folder: PathBuf,
}

/// What all of them share.
struct Load {
    binding: Binding,
    run: String,
    confirm: u32,
    log: Log,
    /// Writers that had no write acknowledged yet.
    idle: AtomicUsize,
}

/// Writes and reads until SIGTERM or the time limit, and then waits to be killed: the history is fetched from the running pod.
pub async fn run(binding: Binding, options: Options) -> anyhow::Result<()> {
    let mut told = signal(SignalKind::terminate())?;
    let writers = [
        (Way::Service, contract::RUST_SERVICE),
        (Way::ThroughSentinel, contract::RUST_SENTINEL),
    ];
    let count = writers.iter().map(|(_, names)| names.len()).sum();
    let load = Arc::new(Load {
        binding,
        run: options.run,
        confirm: options.confirm,
        log: Log::create(&options.folder)?,
        idle: AtomicUsize::new(count),
    });
    let (stop, stopped) = watch::channel(());
    let period = Duration::from_secs(1) * u32::try_from(count)? / options.rate.max(1);
    let mut tasks = JoinSet::new();
    for (way, names) in writers {
        for name in names {
            let (load, stopped) = (Arc::clone(&load), stopped.clone());
            tasks.spawn(async move { load.write(name, way, period, stopped).await });
        }
        let (load, stopped) = (Arc::clone(&load), stopped.clone());
        tasks.spawn(async move { load.read(way, stopped).await });
    }
    // Whichever comes first; a writer that cannot write its history ends it all.
    tokio::select! {
        _ = told.recv() => {}
        () = tokio::time::sleep(Duration::from_secs(options.limit)) => {}
        Some(ended) = tasks.join_next() => return ended?.context("a writer ended"),
    }
    drop(stop);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let records = load.log.close()?;
    say_json(&serde_json::json!({"records": records}))?;
    std::future::pending().await
}

impl Load {
    /// One attempt after another. What may have arrived is never sent again.
    async fn write(
        &self,
        name: &str,
        way: Way,
        period: Duration,
        mut stopped: watch::Receiver<()>,
    ) -> anyhow::Result<()> {
        let mut beat = beat(period);
        let mut door = Door::to(&self.binding, way).await?;
        let mut connection = None;
        let mut busy = false;
        for sequence in 0.. {
            tokio::select! {
                _ = beat.tick() => {}
                _ = stopped.changed() => break,
            }
            let value = format!("{}-{name}-{sequence}", self.run);
            let started = history::now();
            let outcome = self
                .append(&mut door, &mut connection, &contract::key(name), &value)
                .await;
            self.log.add(&Record::Write(Write {
                writer: name.to_owned(),
                sequence,
                path: path(way).to_owned(),
                key: contract::key(name),
                value,
                started,
                ended: history::now(),
                outcome: outcome.clone(),
            }))?;
            if outcome != Outcome::Acknowledged {
                connection = None;
                tokio::time::sleep(PAUSE).await;
            } else if !busy {
                busy = true;
                if self.idle.fetch_sub(1, Ordering::Relaxed) == 1 {
                    say_json(&serde_json::json!({"writing": true}))?;
                }
            }
        }
        Ok(())
    }

    async fn append(
        &self,
        door: &mut Door,
        connection: &mut Option<MultiplexedConnection>,
        key: &str,
        value: &str,
    ) -> Outcome {
        let open = match connection {
            Some(open) => open,
            None => match door.connect(ANSWER).await {
                Ok(new) => connection.insert(new),
                Err(code) => return Outcome::Refused(code),
            },
        };
        let writing = async {
            let mut write = redis::cmd("LPUSH");
            write.arg(key).arg(value).exec_async(open).await?;
            self.confirmed(open).await
        };
        match timeout(ANSWER, writing).await {
            Ok(Ok(true)) => Outcome::Acknowledged,
            Ok(Ok(false)) => Outcome::Unknown(code::UNCONFIRMED.to_owned()),
            Ok(Err(error)) => match error.code() {
                Some(code) => Outcome::Refused(code.to_owned()),
                None => Outcome::Unknown(reason(&error).to_owned()),
            },
            Err(_) => Outcome::Unknown(code::TIMEOUT.to_owned()),
        }
    }

    /// Whether as many replicas as it takes have what this connection wrote last.
    async fn confirmed(&self, connection: &mut MultiplexedConnection) -> RedisResult<bool> {
        if self.confirm == 0 {
            return Ok(true);
        }
        let mut wait = redis::cmd("WAIT");
        wait.arg(self.confirm).arg(CONFIRMED_MS);
        match wait.query_async::<u32>(connection).await {
            Ok(replicas) => Ok(replicas >= self.confirm),
            // The write itself was not refused.
            Err(error) if error.code().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks for the newest value of one list after another. What is not answered tells nothing.
    async fn read(&self, way: Way, mut stopped: watch::Receiver<()>) -> anyhow::Result<()> {
        let mut beat = beat(LOOK);
        let mut door = Door::to(&self.binding, way).await?;
        let mut connection = None;
        for writer in contract::writers().collect::<Vec<_>>().into_iter().cycle() {
            tokio::select! {
                _ = beat.tick() => {}
                _ = stopped.changed() => break,
            }
            let open = match &mut connection {
                Some(open) => open,
                None => match door.connect(ANSWER).await {
                    Ok(new) => connection.insert(new),
                    Err(_) => continue,
                },
            };
            let key = contract::key(writer);
            let started = history::now();
            let mut command = redis::cmd("LRANGE");
            command.arg(&key).arg(0).arg(0);
            let answer = timeout(ANSWER, command.query_async::<Vec<String>>(open)).await;
            let Ok(Ok(newest)) = answer else {
                connection = None;
                continue;
            };
            self.log.add(&Record::Read(Read {
                reader: path(way).to_owned(),
                key,
                // What an earlier load left there is nothing of this one.
                value: newest
                    .into_iter()
                    .next()
                    .filter(|value| value.starts_with(&format!("{}-", self.run))),
                started,
                ended: history::now(),
            }))?;
        }
        Ok(())
    }
}

fn beat(period: Duration) -> Interval {
    let mut beat = interval(period);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}

fn path(way: Way) -> &'static str {
    match way {
        Way::Service => "service/rust",
        Way::ThroughSentinel | Way::Sentinel => "sentinel/rust",
    }
}

fn reason(error: &RedisError) -> &'static str {
    if error.is_timeout() {
        code::TIMEOUT
    } else {
        code::DROPPED
    }
}
