//! Events emitted by the client, and by the same commands in a pipeline by hand.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use cachebus::{CacheBus, Event, Outcome};
use redis::Pipeline;
use redis::aio::MultiplexedConnection;
use serde::Serialize;

use crate::place::{Place, shared};
use crate::report::Figure;
use crate::rounds::{Contender, Load, compare};
use crate::work::{FIRST_ID, remove};

/// Channels of `clients/bench.yaml`.
pub const LIVE: &str = "agent:updated";
/// The durable one.
pub const DURABLE: &str = "task:created";

/// Who sends by hand what the function library does.
pub const SAME_COMMANDS: &str = "redis crate, the same commands in a pipeline";

/// What ours is to be of the same commands by hand.
const LIVE_AIM: f64 = 0.9;
const DURABLE_AIM: f64 = 0.75;

/// How many events a history keeps.
const HISTORY: u32 = 100;

/// What an event tells here.
#[derive(Serialize)]
struct Told {
    id: u64,
    name: String,
    state: &'static str,
}

/// An event as a service makes it: with a new id, about 300 bytes of envelope.
pub fn event(bus: &CacheBus, channel: &str, id: u64) -> anyhow::Result<Event> {
    let told = Told {
        id,
        name: format!("agent {id}"),
        state: "idle",
    };
    Ok(bus.events().event(channel, &told)?)
}

/// Both kinds of channels, one after the other and many at once.
pub async fn emits(place: &Place, rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for at_once in [1, 50] {
        let load = Load {
            at_once,
            slice: Duration::from_millis(300),
            rounds,
        };
        for channel in [Channel::of(LIVE, false), Channel::of(DURABLE, true)] {
            figures.push(Figure {
                name: format!("Rust: emit, {}, {at_once} at a time", channel.kind()),
                unit: "events/s",
                rows: compare(&emitters(place, channel).await?, load).await?,
            });
            remove(&mut place.admin().await?, &channel.keys()).await?;
        }
    }
    Ok(figures)
}

async fn emitters(place: &Place, channel: Channel) -> anyhow::Result<Vec<Contender>> {
    let (bus, of_hand) = (place.bus()?, place.bus()?);
    let raw = place.raw().await?;
    let mut emitters = vec![
        Contender::looping("cachebus", move |_, mut clock| {
            let bus = bus.clone();
            async move {
                while clock.begins() {
                    let event = event(&bus, channel.name, FIRST_ID)?;
                    let emitted = bus.events().emit(&event).await?;
                    ensure!(emitted.outcome == Outcome::Emitted, "it was not emitted");
                    clock.ends();
                }
                Ok(clock)
            }
        }),
        by_hand(
            SAME_COMMANDS,
            &of_hand,
            &raw,
            channel,
            Channel::same_commands,
        )
        .aim(if channel.durable {
            DURABLE_AIM
        } else {
            LIVE_AIM
        }),
    ];
    if !channel.durable {
        // What a service does that does not mind an event twice.
        emitters.push(by_hand(
            "redis crate, without ids in a pipeline",
            &of_hand,
            &raw,
            channel,
            Channel::without_ids,
        ));
    }
    Ok(emitters)
}

fn by_hand(
    who: &str,
    bus: &CacheBus,
    raw: &[MultiplexedConnection],
    channel: Channel,
    commands: fn(Channel, &Event) -> anyhow::Result<Pipeline>,
) -> Contender {
    let (bus, raw) = (bus.clone(), raw.to_vec());
    Contender::looping(who, move |number, mut clock| {
        let bus = bus.clone();
        let mut connection = shared(&raw, number);
        async move {
            while clock.begins() {
                let pipeline = commands(channel, &event(&bus, channel.name, FIRST_ID)?)?;
                pipeline.exec_async(&mut connection).await?;
                clock.ends();
            }
            Ok(clock)
        }
    })
}

/// A channel, and where the client keeps its events.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    name: &'static str,
    durable: bool,
}

impl Channel {
    /// Of this name.
    pub fn of(name: &'static str, durable: bool) -> Self {
        Self { name, durable }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Its events, in words.
    pub fn kind(self) -> &'static str {
        if self.durable { "durable" } else { "live" }
    }

    fn key(self, what: &str) -> String {
        format!("events:{}:{what}", self.name)
    }

    /// All keys that its events are kept by.
    pub fn keys(self) -> Vec<String> {
        ["ids", "history", "stream"]
            .map(|what| self.key(what))
            .into()
    }

    /// What `cachebus_emit` does for an event that is new, besides checks of rights and types.
    pub fn same_commands(self, event: &Event) -> anyhow::Result<Pipeline> {
        let envelope = event.encode()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let ids = self.key("ids");
        let mut pipeline = Pipeline::new();
        pipeline.cmd("ZSCORE").arg(&ids).arg(&event.event_id);
        let history = self.key("history");
        pipeline.cmd("LPUSH").arg(&history).arg(&envelope);
        if self.durable {
            pipeline.cmd("XADD").arg(self.key("stream")).arg("*").arg(&[
                "event_id",
                &event.event_id,
                "envelope",
                &envelope,
            ]);
        }
        pipeline.cmd("LTRIM").arg(history).arg(0).arg(HISTORY - 1);
        pipeline
            .cmd("ZADD")
            .arg(ids)
            .arg(u64::try_from(now)?)
            .arg(&event.event_id);
        pipeline.cmd("PUBLISH").arg(self.name).arg(envelope);
        Ok(pipeline)
    }

    /// Published and kept, yet twice where it is emitted twice.
    pub fn without_ids(self, event: &Event) -> anyhow::Result<Pipeline> {
        let mut pipeline = Pipeline::new();
        let envelope = event.encode()?;
        let history = self.key("history");
        pipeline.cmd("LPUSH").arg(&history).arg(&envelope);
        pipeline.cmd("LTRIM").arg(history).arg(0).arg(HISTORY - 1);
        pipeline.cmd("PUBLISH").arg(self.name).arg(envelope);
        Ok(pipeline)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn words(pipeline: &Pipeline) -> Vec<String> {
        pipeline
            .cmd_iter()
            .filter_map(|command| match command.args_iter().next() {
                Some(redis::Arg::Simple(word)) => String::from_utf8(word.to_vec()).ok(),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn by_hand_is_what_the_library_does() {
        const LIBRARY: &str = include_str!("../../../../functions/cachebus.lua");
        let event = Event::new(DURABLE, "bench", &json!({})).unwrap();
        let pipeline = Channel::of(DURABLE, true).same_commands(&event).unwrap();
        let words = words(&pipeline);
        let all = ["ZSCORE", "LPUSH", "XADD", "LTRIM", "ZADD", "PUBLISH"];
        assert_eq!(words, all);
        let send = LIBRARY.split("local function send").nth(1).unwrap();
        let send = send.split("\nend").next().unwrap();
        let mut called = send.match_indices("call('").map(|(place, called)| {
            let word = &send[place + called.len()..];
            word.split('\'').next().unwrap()
        });
        // What finds and removes ids that have run out is called now and then.
        assert!(words.iter().all(|word| called.any(|called| called == word)));
        let plain = Channel::of(LIVE, false).same_commands(&event).unwrap();
        assert_eq!(
            self::words(&plain),
            ["ZSCORE", "LPUSH", "LTRIM", "ZADD", "PUBLISH"]
        );
    }
}
