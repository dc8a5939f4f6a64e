//! How fast durable events that wait already are handled, each acknowledged after its handler.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cachebus::{ConsumerOptions, Event};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::emits::{Channel, DURABLE, event};
use crate::place::Place;
use crate::report::Figure;
use crate::rounds::{Contender, Load, Slice, compare};
use crate::summary::count;
use crate::work::{FIRST_ID, remove};

/// Events that wait when the time begins.
const EVENTS: usize = 3_000;
/// Fetched at once, as the client does by default.
const BATCH: usize = 16;
/// Emissions at the same time before that.
const EMITTED_AT_ONCE: usize = 64;
/// How long all of them may take.
const LONGEST: Duration = Duration::from_secs(20);
/// The service's group.
const GROUP: &str = "bench";

/// One handler, several, and the plain client.
pub async fn backlogs(place: &Arc<Place>, rounds: usize) -> anyhow::Result<Figure> {
    let contenders = [
        consuming(place, "cachebus, one handler", 1),
        consuming(place, "cachebus, 8 handlers at a time", 8),
        by_hand(place),
    ];
    let load = Load {
        at_once: 1,
        slice: Duration::ZERO,
        rounds,
    };
    Ok(Figure {
        name: format!("Rust: {EVENTS} durable events that wait"),
        unit: "events/s",
        rows: compare(&contenders, load).await?,
    })
}

fn consuming(place: &Arc<Place>, who: &str, handlers: usize) -> Contender {
    let place = Arc::clone(place);
    Contender::new(who, move |_| {
        let place = Arc::clone(&place);
        async move {
            fill(&place).await?;
            let marks = Arc::new(Marks::default());
            let mut options = ConsumerOptions::default();
            options.batch = BATCH;
            let bus = place.bus()?;
            let handled = Arc::clone(&marks);
            let consumer = bus
                .events()
                .consumer()
                .options(options)
                .concurrency(handlers)
                .ordered_by(|event| event.event_id.clone())
                .on(DURABLE, move |_| {
                    handled.handled();
                    std::future::ready(anyhow::Ok(()))
                })?;
            let running = tokio::spawn(consumer.run());
            let waited = timeout(LONGEST, marks.all.notified()).await;
            running.abort();
            waited.context("not all events were handled")?;
            marks.slice()
        }
    })
}

/// What a read answers for one stream: its entries, by id.
type Stream = (String, Vec<(String, HashMap<String, Vec<u8>>)>);

/// Reads as many at once, and acknowledges each after its handler.
fn by_hand(place: &Arc<Place>) -> Contender {
    let place = Arc::clone(place);
    Contender::new("redis crate, one handler", move |_| {
        let place = Arc::clone(&place);
        async move {
            fill(&place).await?;
            let mut connection = connection(&place).await?;
            let stream = stream();
            redis::cmd("XGROUP")
                .arg("CREATE")
                .arg(&stream)
                .arg(&[GROUP, "0"])
                .exec_async(&mut connection)
                .await?;
            let marks = Marks::default();
            while marks.number() < EVENTS {
                let read: Vec<Stream> = redis::cmd("XREADGROUP")
                    .arg(&["GROUP", GROUP, "by-hand", "COUNT"])
                    .arg(BATCH)
                    .arg(&["STREAMS", &stream, ">"])
                    .query_async(&mut connection)
                    .await?;
                for (id, fields) in read.into_iter().flat_map(|(_, entries)| entries) {
                    let envelope = fields.get("envelope");
                    Event::decode(envelope.context("an entry has no envelope")?)?;
                    marks.handled();
                    redis::cmd("XACK")
                        .arg(&[&stream, GROUP, &id])
                        .exec_async(&mut connection)
                        .await?;
                }
            }
            marks.slice()
        }
    })
}

async fn connection(place: &Place) -> anyhow::Result<MultiplexedConnection> {
    let mut connections = place.raw().await?;
    connections.pop().context("there is no connection")
}

fn stream() -> String {
    format!("events:{DURABLE}:stream")
}

/// Nothing but so many events, and no group.
async fn fill(place: &Place) -> anyhow::Result<()> {
    remove(
        &mut place.admin().await?,
        &Channel::of(DURABLE, true).keys(),
    )
    .await?;
    let bus = place.bus()?;
    let emissions = (0..EVENTS).map(async |_| {
        let event = event(&bus, DURABLE, FIRST_ID)?;
        bus.events().emit(&event).await?;
        anyhow::Ok(())
    });
    stream::iter(emissions)
        .buffer_unordered(EMITTED_AT_ONCE)
        .try_collect()
        .await
}

/// The time from the first handled event to the last: what was set up before does not count.
#[derive(Default)]
struct Marks {
    handled: AtomicUsize,
    times: std::sync::Mutex<Option<(Instant, Instant)>>,
    all: Notify,
}

impl Marks {
    fn handled(&self) {
        let now = Instant::now();
        let number = self.handled.fetch_add(1, Ordering::Relaxed) + 1;
        if number == 1 || number == EVENTS {
            let mut times = self
                .times
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let first = times.map_or(now, |(first, _)| first);
            *times = Some((first, now));
        }
        if number == EVENTS {
            self.all.notify_one();
        }
    }

    fn number(&self) -> usize {
        self.handled.load(Ordering::Relaxed)
    }

    fn slice(&self) -> anyhow::Result<Slice> {
        let times = self
            .times
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (first, last) = times.context("no event was handled")?;
        let took = (last - first).as_secs_f64();
        ensure!(took > 0.0, "all events were handled at once");
        Ok(Slice {
            rate: count(EVENTS - 1) / took,
            laps: Vec::new(),
        })
    }
}
