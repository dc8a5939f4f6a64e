//! Calls with a deadline, repeated where nothing can be done twice by it.

mod breaker;
mod handshake;
mod lane;
mod link;
mod primary;
mod replies;
pub(crate) mod tls;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use redis::aio::PubSub;
use redis::{FromRedisValue, PushInfo, Value};
use tokio::time::{Instant, timeout, timeout_at};

use crate::binding::{Source, Watched};
use crate::command::Command;
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::settings::Settings;

use breaker::Breaker;
use lane::Lane;
pub(crate) use link::{Generation, Link};
use primary::Primary;
pub(crate) use replies::{checked, parsed, translated, unexpected};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Whether a call may be made again of which no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Twice is the same as once.
    Safe,
    /// Made again only where the server surely did nothing.
    Never,
}

/// The way to the primary. Cheap to clone: all clones share their connections.
#[derive(Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    watched: Arc<Watched>,
    primary: Arc<Primary>,
    calls: Lane,
    /// Commands that wait hold up what comes after them on their connection.
    confirming: Lane,
    breaker: Breaker,
}

impl Connection {
    /// Reads the binding; connects when the first call is made.
    pub(crate) fn open(source: Source, settings: Settings) -> Result<Self> {
        let watched = Watched::start(source, settings.reload_every)?;
        let primary = Arc::new(Primary::new(Arc::clone(&watched), settings.clone()));
        Ok(Self {
            shared: Arc::new(Shared {
                calls: Lane::new(Arc::clone(&primary), settings.connections),
                confirming: Lane::new(Arc::clone(&primary), settings.confirming_connections),
                breaker: Breaker::new(settings.breaker_failures, settings.breaker_pause),
                watched,
                primary,
                settings,
            }),
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The contract as it is now.
    pub(crate) fn contract(&self) -> Arc<Contract> {
        self.shared.watched.contract()
    }

    /// Returns when the contract has events on, or off; at once where it has.
    pub(crate) async fn events_are(&self, on: bool) {
        self.shared.watched.events_are(on).await;
    }

    /// Changes when calls may go to another server than before.
    pub(crate) fn generation(&self) -> Generation {
        self.shared.primary.generation()
    }

    /// One command's reply; its error is the call's.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        command: Command,
        repeat: Repeat,
    ) -> Result<T> {
        let shared = &self.shared;
        let within = shared.settings.deadline;
        let commands = [command];
        let make = |_| Cow::Borrowed(commands.as_slice());
        let (commands, replies) = self
            .exchanged(&shared.calls, make, repeat, within, Duration::ZERO)
            .await?;
        only(&commands, replies)
    }

    /// The same for a command that holds Sentinels' epoch of the primary that it goes to; 0 where the binding names no Sentinels.
    pub(crate) async fn call_with_epoch<T: FromRedisValue>(
        &self,
        command: impl Fn(u64) -> Command,
    ) -> Result<T> {
        let shared = &self.shared;
        let make = |epoch| Cow::Owned(vec![command(epoch)]);
        let within = shared.settings.deadline;
        let (commands, replies) = self
            .exchanged(&shared.calls, make, Repeat::Safe, within, Duration::ZERO)
            .await?;
        only(&commands, replies)
    }

    /// One command's reply for a caller who can do without: within one `command_timeout`, and refused at once while the server is left
    /// alone.
    pub(crate) async fn call_briefly<T: FromRedisValue>(&self, command: Command) -> Result<T> {
        let name = command.name();
        let mut replies = self.pipeline_briefly(vec![command]).await?;
        parsed(name, replies.pop().unwrap_or(Value::Nil))
    }

    /// The same for many commands; the first error is the call's.
    pub(crate) async fn pipeline_briefly(&self, commands: Vec<Command>) -> Result<Vec<Value>> {
        let shared = &self.shared;
        if !shared.breaker.allows() {
            return Err(Error::Unavailable(
                "the cache failed just now, and is left alone for a while".to_owned(),
            ));
        }
        let within = shared.settings.command_timeout;
        let make = |_| Cow::Borrowed(commands.as_slice());
        let result = self
            .exchanged(&shared.calls, make, Repeat::Safe, within, Duration::ZERO)
            .await
            .and_then(|(commands, replies)| all_checked(&commands, replies));
        match &result {
            Err(error) if error.is_retryable() => shared.breaker.failed(),
            _ => shared.breaker.succeeded(),
        }
        result
    }

    /// The replies of commands that are sent at once; the first error is the call's, and the others may be done all the same.
    pub(crate) async fn pipeline(
        &self,
        commands: Vec<Command>,
        repeat: Repeat,
    ) -> Result<Vec<Value>> {
        let shared = &self.shared;
        let within = shared.settings.deadline;
        let make = |_| Cow::Borrowed(commands.as_slice());
        let (commands, replies) = self
            .exchanged(&shared.calls, make, repeat, within, Duration::ZERO)
            .await?;
        all_checked(&commands, replies)
    }

    /// Commands of which the last may wait as long as `blocks` on the server. They travel by connections of their own.
    pub(crate) async fn confirmed(
        &self,
        commands: Vec<Command>,
        blocks: Duration,
    ) -> Result<Vec<Value>> {
        let shared = &self.shared;
        let within = shared.settings.deadline;
        let make = |_| Cow::Borrowed(commands.as_slice());
        let (commands, replies) = self
            .exchanged(&shared.confirming, make, Repeat::Safe, within, blocks)
            .await?;
        all_checked(&commands, replies)
    }

    /// The replies of commands that are done together or not at all.
    pub(crate) async fn transaction(
        &self,
        commands: Vec<Command>,
        repeat: Repeat,
    ) -> Result<Vec<Value>> {
        let names: Vec<_> = commands.iter().map(Command::name).collect();
        let mut all = Vec::with_capacity(commands.len() + 2);
        all.push(Command::new("MULTI"));
        all.extend(commands);
        all.push(Command::new("EXEC"));
        let mut replies = self.pipeline(all, repeat).await?;
        match replies.pop() {
            Some(Value::Array(results)) => std::iter::zip(names, results)
                .map(|(name, result)| checked(name, result))
                .collect(),
            _ => Err(unexpected("EXEC")),
        }
    }

    /// A connection of the caller's own, for calls that wait on the server.
    pub(crate) async fn dedicated(&self) -> Result<Link> {
        let (stream, generation) = self.shared.primary.connect().await?;
        Link::on(stream, generation).await
    }

    /// A connection of the caller's own, for what is published.
    pub(crate) async fn listening(&self) -> Result<PubSub> {
        let (stream, _) = self.shared.primary.connect().await?;
        let patience = self.shared.settings.connect_timeout;
        timeout(patience, PubSub::new(&link::silent(), stream))
            .await
            .ok()
            .and_then(std::result::Result::ok)
            .ok_or_else(|| Error::Unavailable("the connection ended".to_owned()))
    }

    /// A connection of the caller's own, on which the server says what it was not asked for.
    pub(crate) async fn hearing(
        &self,
        hear: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Link> {
        let (stream, generation) = self.shared.primary.connect().await?;
        let patience = self.shared.settings.connect_timeout;
        timeout(patience, Link::hearing(stream, generation, hear))
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable("the connection ended".to_owned())))
    }

    /// The primary of this generation is none any more.
    pub(crate) fn forget(&self, generation: Generation) {
        self.shared.primary.forget(generation);
    }

    /// What `make` has made, and the replies to it. It is told Sentinels' epoch of the primary that each attempt goes to.
    async fn exchanged<'a>(
        &self,
        lane: &Lane,
        make: impl Fn(u64) -> Cow<'a, [Command]>,
        repeat: Repeat,
        within: Duration,
        blocks: Duration,
    ) -> Result<(Cow<'a, [Command]>, Vec<Value>)> {
        let until = Instant::now() + within;
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_jitter()
            .build();
        loop {
            let error = match self.attempt(lane, &make, repeat, until, blocks).await {
                Ok(exchanged) => return Ok(exchanged),
                Err(error) => error,
            };
            let repeated = error.is_undone()
                || (repeat == Repeat::Safe && matches!(error, Error::OutcomeUnknown { .. }));
            let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
            if !repeated || Instant::now() + pause >= until {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt<'a>(
        &self,
        lane: &Lane,
        make: &impl Fn(u64) -> Cow<'a, [Command]>,
        repeat: Repeat,
        until: Instant,
        blocks: Duration,
    ) -> Result<(Cow<'a, [Command]>, Vec<Value>)> {
        let settings = &self.shared.settings;
        let connected_by = until.max(Instant::now() + settings.connect_timeout);
        let link = timeout_at(connected_by, lane.take())
            .await
            .map_err(|_| Error::Unavailable("no connection in time".to_owned()))??;
        let commands = make(self.shared.primary.epoch());
        let name = commands.first().map_or("", Command::name);
        // What is not made again waits for its answer: a primary that holds writes back answers when it is done with that.
        let patience = match repeat {
            Repeat::Safe => settings.command_timeout,
            Repeat::Never => settings
                .command_timeout
                .max(until.saturating_duration_since(Instant::now())),
        };
        let Ok(replies) = link.ask_all(&commands, patience + blocks).await else {
            self.forget(link.generation());
            return Err(Error::OutcomeUnknown {
                command: name.to_owned(),
                repeatable: repeat == Repeat::Safe,
            });
        };
        if let Some(error) = refusal(&commands, &replies) {
            self.forget(link.generation());
            return Err(error);
        }
        Ok((commands, replies))
    }
}

fn only<T: FromRedisValue>(commands: &[Command], replies: Vec<Value>) -> Result<T> {
    let name = commands.first().map_or("", Command::name);
    let reply = replies.into_iter().next().unwrap_or(Value::Nil);
    parsed(name, checked(name, reply)?)
}

/// The error by which a server has refused all of it: a transaction is refused by any of its commands, others one by one.
fn refusal(commands: &[Command], replies: &[Value]) -> Option<Error> {
    let whole = commands
        .first()
        .is_some_and(|first| first.name() == "MULTI");
    let looked_at = if whole { replies.len() } else { 1 };
    std::iter::zip(commands, replies)
        .take(looked_at)
        .find_map(|(command, reply)| match reply {
            Value::ServerError(error) => {
                let details = error.details().unwrap_or_default();
                let error = translated(command.name(), error.code(), details);
                error.is_undone().then_some(error)
            }
            _ => None,
        })
}

fn all_checked(commands: &[Command], replies: Vec<Value>) -> Result<Vec<Value>> {
    std::iter::zip(commands, replies)
        .map(|(command, reply)| checked(command.name(), reply))
        .collect()
}
