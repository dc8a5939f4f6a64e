//! One open connection, and the one way commands take through it.

use std::{error::Error as _, io};

use redis::{
    AsyncConnectionConfig, FromRedisValue, RedisConnectionInfo, RedisError,
    aio::MultiplexedConnection, from_redis_value,
};
use rustls_pki_types::CertificateDer;
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    command::Command,
    credentials::Credentials,
    endpoint::Endpoint,
    error::Error,
    handshake::{Established, establish, lost},
};

#[derive(Debug)]
pub(crate) struct Connection {
    endpoint: Endpoint,
    multiplexed: MultiplexedConnection,
    driver: JoinHandle<()>,
    peer_certificate: Option<CertificateDer<'static>>,
}

impl Connection {
    pub(crate) async fn open(
        endpoint: &Endpoint,
        credentials: Option<&Credentials>,
    ) -> Result<Self, Error> {
        let Established {
            stream,
            peer_certificate,
        } = establish(endpoint, credentials).await?;
        let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
        let unbounded = AsyncConnectionConfig::new().set_response_timeout(None);
        let (multiplexed, driver) =
            MultiplexedConnection::new_with_config(&silent, stream, unbounded)
                .await
                .map_err(|error| failed(endpoint, &Command::new("CONNECT"), &error))?;
        Ok(Self {
            endpoint: endpoint.clone(),
            multiplexed,
            driver: tokio::spawn(driver),
            peer_certificate,
        })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.peer_certificate.as_ref()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }

    /// Returns when the connection has ended. May be dropped and called again.
    pub(crate) async fn ended(&mut self) {
        if !self.driver.is_finished() {
            // It ends by itself, or by this value's end; neither leaves anything to be told.
            let _ = (&mut self.driver).await;
        }
    }

    pub(crate) async fn call<T: FromRedisValue>(&self, command: Command) -> Result<T, Error> {
        let deadline = self.endpoint.deadline;
        let mut multiplexed = self.multiplexed.clone();
        let value = timeout(deadline, multiplexed.send_packed_command(command.cmd()))
            .await
            .map_err(|_| Error::Timeout {
                address: self.endpoint.address.clone(),
                attempted: command.name(),
                after: deadline,
            })?
            .and_then(redis::Value::extract_error)
            .map_err(|error| failed(&self.endpoint, &command, &error))?;
        from_redis_value(value)
            .map_err(|_| self.unexpected(command.name(), std::any::type_name::<T>()))
    }

    /// The parser's own words would quote the reply, which may hold passwords (CONFIG GET).
    pub(crate) fn unexpected(&self, command: &'static str, expected: &str) -> Error {
        Error::UnexpectedReply {
            address: self.endpoint.address.clone(),
            command,
            detail: format!("expected {expected}"),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub(crate) fn failed(endpoint: &Endpoint, command: &Command, error: &RedisError) -> Error {
    if let Some(code) = error.code() {
        return Error::Refused {
            address: endpoint.address.clone(),
            command: command.name(),
            code: code.to_owned(),
            message: command.scrub(error.detail().unwrap_or_default()),
        };
    }
    if error.is_io_error() {
        return lost(endpoint, command.name(), io_cause(error));
    }
    Error::UnexpectedReply {
        address: endpoint.address.clone(),
        command: command.name(),
        detail: "expected the Redis protocol".to_owned(),
    }
}

/// The `redis` crate shares its cause; rustls's part is copied out so that a TLS refusal stays recognisable.
fn io_cause(error: &RedisError) -> io::Error {
    let Some(cause) = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
    else {
        return io::ErrorKind::BrokenPipe.into();
    };
    match cause
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(tls) => io::Error::new(cause.kind(), tls.clone()),
        None => cause.kind().into(),
    }
}
