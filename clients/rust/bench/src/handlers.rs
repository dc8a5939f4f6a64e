//! From an event that is due to its handler, at a steady rate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use cachebus::{CacheBus, Event};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::emits::{Channel, DURABLE, LIVE};
use crate::place::Place;
use crate::report::{Figure, Row};
use crate::rounds::nanos;
use crate::summary::{count, median, millis, percentile};
use crate::work::remove;

/// Events a second.
const RATE: u64 = 5_000;
/// Events of the beginning that do not count: 0.5 s.
const WARMING: u64 = RATE / 2;
/// Events of one round: 2.5 s.
const EVENTS: u64 = RATE * 5 / 2;
/// Rounds of each kind, in turn.
const ROUNDS: usize = 3;
/// No event is to take longer to its handler, but for one of a hundred.
const LONGEST_MS: f64 = 10.0;
/// Handlers of durable events at the same time.
const CONCURRENCY: usize = 8;
/// How long after the last emission the last event may come.
const LATEST: Duration = Duration::from_secs(10);

/// Which event it is, of whose time.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Told {
    number: u64,
}

/// When an event was handled.
struct Handled {
    number: u64,
    at: Instant,
}

/// Both kinds of events, each by a client of its own and a client that listens.
pub async fn handlers(place: &Place) -> anyhow::Result<Figure> {
    let (mut live, mut durable) = (Course::default(), Course::default());
    for _ in 0..ROUNDS {
        let (bus, handled) = (place.bus()?, unbounded_channel());
        let listener = listen(bus, handled.0).await?;
        let ended = play(place, LIVE, handled.1, &mut live).await;
        listener.abort();
        ended?;
        let (bus, handled) = (place.bus()?, unbounded_channel());
        let consumer = consume(&bus, handled.0)?;
        let ended = play(place, DURABLE, handled.1, &mut durable).await;
        consumer.abort();
        ended?;
        let keys = [
            Channel::of(LIVE, false).keys(),
            Channel::of(DURABLE, true).keys(),
        ];
        remove(&mut place.admin().await?, &keys.concat()).await?;
    }
    Ok(Figure {
        name: format!("Rust: from publish to handler, {RATE} events/s"),
        unit: "events/s",
        rows: vec![
            live.row("cachebus, live".to_owned()),
            durable.row(format!(
                "cachebus, durable, {CONCURRENCY} handlers at a time"
            )),
        ],
    })
}

/// What some rounds came to.
#[derive(Default)]
struct Course {
    rates: Vec<f64>,
    p50s: Vec<f64>,
    p99s: Vec<f64>,
}

impl Course {
    fn row(&self, who: String) -> Row {
        Row {
            value: median(&self.rates),
            p50_ms: median(&self.p50s),
            p99_ms: median(&self.p99s),
            ..Row::new(who, 0.0)
        }
        .p99_below(LONGEST_MS)
    }
}

/// Emits all events of a round and waits until they are handled.
async fn play(
    place: &Place,
    channel: &'static str,
    mut handled: UnboundedReceiver<Handled>,
    course: &mut Course,
) -> anyhow::Result<()> {
    let bus = place.bus()?;
    bus.ping().await?;
    let begun = Instant::now();
    emit(&bus, channel, begun).await?;
    let took = begun.elapsed();
    let mut samples = Vec::new();
    for _ in 0..EVENTS {
        let handled = timeout(LATEST, handled.recv()).await;
        let handled = handled
            .with_context(|| format!("{channel}: not all events came"))?
            .context("whoever handles has ended")?;
        if handled.number >= WARMING {
            samples.push(nanos(handled.at - due(begun, handled.number)));
        }
    }
    course
        .rates
        .push(count(usize::try_from(EVENTS)?) / took.as_secs_f64());
    let mut part = |percent| percentile(&mut samples, percent).map(millis);
    course.p50s.extend(part(50));
    course.p99s.extend(part(99));
    Ok(())
}

/// When an event is to be emitted.
fn due(begun: Instant, number: u64) -> Instant {
    begun + Duration::from_nanos(number * 1_000_000_000 / RATE)
}

/// Begins each emission when it is due, or as soon after it as this machine's timer tells, whether or not earlier ones have ended: a
/// slow bus is not spared.
async fn emit(bus: &CacheBus, channel: &'static str, begun: Instant) -> anyhow::Result<()> {
    let mut under_way = JoinSet::new();
    for number in 0..EVENTS {
        if Instant::now() < due(begun, number) {
            sleep_until(due(begun, number)).await;
            while let Some(ended) = under_way.try_join_next() {
                ended??;
            }
        }
        let bus = bus.clone();
        under_way.spawn(async move {
            let event = bus.events().event(channel, &Told { number })?;
            bus.events().emit(&event).await?;
            anyhow::Ok(())
        });
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}

fn told(event: &Event) -> anyhow::Result<Handled> {
    let told: Told = event.data()?;
    Ok(Handled {
        number: told.number,
        at: Instant::now(),
    })
}

/// Listens as soon as it returns.
async fn listen(
    bus: CacheBus,
    handled: UnboundedSender<Handled>,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let mut events = bus.events().subscribe(&[LIVE]).await?;
    Ok(tokio::spawn(async move {
        loop {
            let event = events.next().await?;
            ensure!(events.gaps() == 0, "events were missed");
            if handled.send(told(&event)?).is_err() {
                return Ok(());
            }
        }
    }))
}

fn consume(
    bus: &CacheBus,
    handled: UnboundedSender<Handled>,
) -> anyhow::Result<JoinHandle<cachebus::Result<()>>> {
    let handled = Arc::new(handled);
    let consumer = bus
        .events()
        .consumer()
        .concurrency(CONCURRENCY)
        .ordered_by(|event| event.event_id.clone())
        .on(DURABLE, move |event| {
            let handled = Arc::clone(&handled);
            async move {
                match handled.send(told(&event)?) {
                    Ok(()) => anyhow::Ok(()),
                    Err(_) => bail!("nobody looks at it any more"),
                }
            }
        })?;
    Ok(tokio::spawn(consumer.run()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_are_due_at_a_steady_rate() {
        let begun = Instant::now();
        assert_eq!(due(begun, 0), begun);
        assert_eq!(due(begun, RATE), begun + Duration::from_secs(1));
        assert_eq!(due(begun, RATE / 2), begun + Duration::from_millis(500));
    }
}
