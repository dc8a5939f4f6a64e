//! Two services of the tour: one changes tasks and tells of it, one hears of it and reads them.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use cachebus_e2e::cells::Way;
use futures::StreamExt as _;
use redis::aio::MultiplexedConnection;

use crate::binding::Binding;
use crate::connect::{client, connect};
use crate::say::say;

/// Channel by which the writer tells the reader.
const CHANNEL: &str = "task:completed";
/// Lifetime of a task in the sample contract, seconds.
const TTL_SECONDS: u64 = 15 * 60;

/// Changes a task each second: write, then publish; reconnects when the bus moved.
pub async fn write(binding: &Binding) -> anyhow::Result<()> {
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    let mut connection = None;
    for number in 1_u64.. {
        beat.tick().await;
        let id = number % 10;
        match change(binding, &mut connection, id, number).await {
            Ok((heard, took)) => say(format_args!(
                "{}: wrote task:{id} (change {number}) and published {CHANNEL}, heard by {heard}, in {} us",
                binding.username,
                took.as_micros()
            ))?,
            Err(error) => {
                connection = None;
                say(format_args!("{}: not written: {error:#}", binding.username))?;
            }
        }
    }
    Ok(())
}

async fn change(
    binding: &Binding,
    connection: &mut Option<MultiplexedConnection>,
    id: u64,
    number: u64,
) -> anyhow::Result<(u64, Duration)> {
    if connection.is_none() {
        *connection = Some(connect(binding, Way::ThroughSentinel).await?);
    }
    let bus = connection.as_mut().context("not connected")?;
    let began = Instant::now();
    let (heard,): (u64,) = redis::pipe()
        .cmd("SET")
        .arg(format!("task:{id}"))
        .arg(format!("{{\"id\":{id},\"change\":{number}}}"))
        .arg("EX")
        .arg(TTL_SECONDS)
        .ignore()
        .cmd("PUBLISH")
        .arg(CHANNEL)
        .arg(id)
        .query_async(bus)
        .await?;
    Ok((heard, began.elapsed()))
}

/// Hears of changed tasks and reads them; subscribes anew when the bus moved.
pub async fn read(binding: &Binding) -> anyhow::Result<()> {
    loop {
        if let Err(error) = listen(binding).await {
            say(format_args!(
                "{}: not listening: {error:#}",
                binding.username
            ))?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn listen(binding: &Binding) -> anyhow::Result<()> {
    let mut subscription = client(binding, Way::Service)
        .await?
        .get_async_pubsub()
        .await?;
    subscription.subscribe(CHANNEL).await?;
    let mut connection = connect(binding, Way::Service).await?;
    say(format_args!("{}: listening on {CHANNEL}", binding.username))?;
    let mut events = subscription.on_message();
    while let Some(event) = events.next().await {
        let id: String = event.get_payload()?;
        let task: Option<String> = redis::cmd("GET")
            .arg(format!("task:{id}"))
            .query_async(&mut connection)
            .await?;
        let task = task.unwrap_or_else(|| "nothing".to_owned());
        say(format_args!(
            "{}: heard {CHANNEL} of {id}, read task:{id} = {task}",
            binding.username
        ))?;
    }
    anyhow::bail!("the subscription ended")
}
