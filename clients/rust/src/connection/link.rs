//! One open connection.

use std::convert::Infallible;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
    Value,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::handshake::Stream;
use super::replies::translated;
use crate::command::Command;
use crate::error::{Error, Result};

/// What a connection was made by. One of a former binding or primary is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(super) binding: u64,
    pub(super) moves: u64,
}

/// A sent call whose answer did not come.
pub(crate) struct NoAnswer;

/// One open connection, for any number of calls at the same time.
pub(crate) struct Link {
    generation: Generation,
    multiplexed: MultiplexedConnection,
    driver: JoinHandle<()>,
}

impl Link {
    /// Takes over a stream after the login.
    pub(super) async fn on(stream: Stream, generation: Generation) -> Result<Self> {
        Self::open(stream, generation, &silent(), unbounded()).await
    }

    /// The same for a stream on which the server also says what it was not asked for. `hear` is called before any later answer is
    /// given, and must not wait.
    pub(super) async fn hearing(
        stream: Stream,
        generation: Generation,
        hear: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Self> {
        let config = unbounded().set_push_sender(move |push| {
            hear(push);
            Ok::<_, Infallible>(())
        });
        let speaks = silent().set_protocol(ProtocolVersion::RESP3);
        Self::open(stream, generation, &speaks, config).await
    }

    async fn open(
        stream: Stream,
        generation: Generation,
        speaks: &RedisConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> Result<Self> {
        let (multiplexed, driver) = MultiplexedConnection::new_with_config(speaks, stream, config)
            .await
            .map_err(|_| Error::Unavailable("the connection ended".to_owned()))?;
        Ok(Self {
            generation,
            multiplexed,
            driver: tokio::spawn(driver),
        })
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.driver.is_finished()
    }

    /// One command's reply, which may be the server's error.
    pub(crate) async fn ask(
        &self,
        command: &Command,
        patience: Duration,
    ) -> Result<Value, NoAnswer> {
        let mut multiplexed = self.multiplexed.clone();
        let reply = multiplexed.send_packed_command(command.cmd());
        timeout(patience, reply)
            .await
            .map_err(|_| NoAnswer)?
            .or_else(server_error)
    }

    /// Listens to channels; of a link that hears.
    pub(crate) async fn subscribe(&self, channels: &[String], patience: Duration) -> Result<()> {
        let mut multiplexed = self.multiplexed.clone();
        let subscribed = timeout(patience, multiplexed.subscribe(channels)).await;
        let unanswered = || Error::Unavailable("SUBSCRIBE: no answer".to_owned());
        subscribed
            .map_err(|_| unanswered())?
            .map_err(|error| match error.code() {
                Some(code) => translated("SUBSCRIBE", code, error.detail().unwrap_or_default()),
                None => unanswered(),
            })
    }

    /// The replies of commands that are sent at once, each the server's error where it was refused.
    pub(crate) async fn ask_all(
        &self,
        commands: &[Command],
        patience: Duration,
    ) -> Result<Vec<Value>, NoAnswer> {
        if let [command] = commands {
            return Ok(vec![self.ask(command, patience).await?]);
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.cmd().clone());
        }
        let mut multiplexed = self.multiplexed.clone();
        let replies = multiplexed.send_packed_commands(&pipeline, 0, commands.len());
        timeout(patience, replies)
            .await
            .map_err(|_| NoAnswer)?
            .map_err(|_| NoAnswer)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Whoever asks knows how long to wait.
fn unbounded() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_response_timeout(None)
}

/// Login and name are done with, or are not wanted.
pub(super) fn silent() -> RedisConnectionInfo {
    RedisConnectionInfo::default().set_skip_set_lib_name()
}

fn server_error(error: RedisError) -> Result<Value, NoAnswer> {
    match error.into_server_errors().as_deref() {
        Some([(_, error), ..]) => Ok(Value::ServerError(error.clone())),
        _ => Err(NoAnswer),
    }
}
