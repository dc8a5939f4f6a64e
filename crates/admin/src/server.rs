//! A data node: what it says of itself, and what it is told.

use std::time::Duration;

use rustls_pki_types::CertificateDer;

use crate::{
    acl::Acl,
    command::Command,
    connection::Connection,
    credentials::Credentials,
    endpoint::{Address, Endpoint},
    error::Error,
    functions::Functions,
    info::{Info, Replication},
    live_config::{LiveConfig, is_secret_parameter},
    role::Role,
    streams::Stream,
};

/// A connection to one Redis or Valkey server.
#[derive(Debug)]
pub struct Server {
    connection: Connection,
}

/// Which connections a `CLIENT KILL TYPE` ends. Replication links are never among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// Connections that send commands.
    Normal,
    /// Connections that are subscribed.
    PubSub,
}

impl Server {
    /// Connects and logs in, all within the endpoint's deadline. Without credentials the connection acts as the `default` user, and is
    /// refused with `NOAUTH` where that user needs a password.
    pub async fn connect(
        endpoint: &Endpoint,
        credentials: Option<&Credentials>,
    ) -> Result<Self, Error> {
        Ok(Self {
            connection: Connection::open(endpoint, credentials).await?,
        })
    }

    /// The endpoint this is connected to.
    pub fn endpoint(&self) -> &Endpoint {
        self.connection.endpoint()
    }

    /// The certificate the server showed; `None` in plain text.
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.connection.peer_certificate()
    }

    /// Whether the connection is known to have ended.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Returns when the connection has ended, whoever ended it. May be dropped and called again.
    pub async fn ended(&mut self) {
        self.connection.ended().await;
    }

    /// The server's ACL users.
    pub fn acl(&self) -> Acl<'_> {
        Acl::new(&self.connection)
    }

    /// The server's function libraries.
    pub fn functions(&self) -> Functions<'_> {
        Functions::new(&self.connection)
    }

    /// The stream at `key`; at `lost_key` it is counted what its groups have lost. Calls need the project's function library.
    pub fn stream<'a>(&'a self, key: &'a str, lost_key: &'a str) -> Stream<'a> {
        Stream::new(&self.connection, key, lost_key)
    }

    /// Refused with `LOADING` while the dataset is read from disk.
    pub async fn ping(&self) -> Result<(), Error> {
        self.connection.call(Command::new("PING")).await
    }

    /// `ROLE`, answered also while loading.
    pub async fn role(&self) -> Result<Role, Error> {
        let reply = self.connection.call(Command::new("ROLE")).await?;
        Role::from_reply(reply)
            .ok_or_else(|| self.connection.unexpected("ROLE", "a data node's role"))
    }

    /// `INFO` with the engine's default sections, answered also while loading.
    pub async fn info(&self) -> Result<Info, Error> {
        self.info_of(Command::new("INFO")).await
    }

    /// `INFO ALL`: the default sections and the figures per command.
    pub async fn info_all(&self) -> Result<Info, Error> {
        self.info_of(Command::new("INFO").arg("all")).await
    }

    /// `INFO replication` alone, for waiting on offsets.
    pub async fn replication(&self) -> Result<Replication, Error> {
        let text: String = self
            .connection
            .call(Command::new("INFO").arg("replication"))
            .await?;
        Replication::parse(&text)
            .ok_or_else(|| self.connection.unexpected("INFO", "a replication section"))
    }

    async fn info_of(&self, command: Command) -> Result<Info, Error> {
        let text: String = self.connection.call(command).await?;
        Info::parse(&text).ok_or_else(|| {
            self.connection
                .unexpected("INFO", "the sections of a data node")
        })
    }

    /// `CONFIG GET *`.
    pub async fn config_get_all(&self) -> Result<LiveConfig, Error> {
        self.connection
            .call(Command::new("CONFIG GET").arg("*"))
            .await
            .map(LiveConfig::new)
    }

    /// Sets all pairs in one `CONFIG SET` (Redis 7.0 and later): all of them or, where one is refused, none.
    pub async fn config_set(&self, pairs: &[(&str, &str)]) -> Result<(), Error> {
        let command = pairs.iter().fold(
            Command::new("CONFIG SET"),
            |command, &(parameter, value)| {
                let command = command.arg(parameter);
                if is_secret_parameter(parameter) {
                    command.secret(value)
                } else {
                    command.arg(value)
                }
            },
        );
        self.connection.call(command).await
    }

    /// Removes every key of every database. Users and function libraries stay.
    pub async fn flush_all(&self) -> Result<(), Error> {
        self.connection.call(Command::new("FLUSHALL")).await
    }

    /// `SCAN`: about `count` keys behind `cursor`, as many of them as match the pattern, and the cursor to go on with. It is 0 at the
    /// begin and at the end. A key may be told twice.
    pub async fn scan(
        &self,
        cursor: u64,
        pattern: Option<&str>,
        count: usize,
    ) -> Result<(u64, Vec<Vec<u8>>), Error> {
        let mut command = Command::new("SCAN").arg(cursor.to_string());
        if let Some(pattern) = pattern {
            command = command.args(["MATCH", pattern]);
        }
        let command = command.arg("COUNT").arg(count.to_string());
        self.connection.call(command).await
    }

    /// `UNLINK`: removes keys, of which there is at least one, and frees their memory beside; returns how many there were.
    pub async fn unlink(&self, keys: &[impl AsRef<[u8]>]) -> Result<u64, Error> {
        let command = Command::new("UNLINK");
        let command = keys
            .iter()
            .fold(command, |command, key| command.key(key.as_ref()));
        self.connection.call(command).await
    }

    /// Follows `primary`, dropping this node's own history where it differs.
    pub async fn replica_of(&self, primary: &Address) -> Result<(), Error> {
        let command = Command::new("REPLICAOF")
            .arg(&primary.host)
            .arg(primary.port.to_string());
        self.connection.call(command).await
    }

    /// `REPLICAOF NO ONE`: stops following and becomes a primary with the data it has.
    pub async fn promote(&self) -> Result<(), Error> {
        let command = Command::new("REPLICAOF").args(["NO", "ONE"]);
        self.connection.call(command).await
    }

    /// Holds every client's writes for at most `limit`; they are answered when the pause ends. Extends a pause, never shortens it.
    pub async fn pause_writes(&self, limit: Duration) -> Result<(), Error> {
        let command = Command::new("CLIENT PAUSE")
            .arg(limit.as_millis().to_string())
            .arg("WRITE");
        self.connection.call(command).await
    }

    /// Lets held writes go on.
    pub async fn unpause(&self) -> Result<(), Error> {
        self.connection.call(Command::new("CLIENT UNPAUSE")).await
    }

    /// Ends every connection of an ACL user but this one; returns how many.
    pub async fn client_kill_user(&self, username: &str) -> Result<u64, Error> {
        let command = Command::new("CLIENT KILL").arg("USER").arg(username);
        self.connection.call(command).await
    }

    /// Ends every connection of a kind but this one; returns how many.
    pub async fn client_kill_kind(&self, kind: ClientKind) -> Result<u64, Error> {
        let command = Command::new("CLIENT KILL").arg("TYPE").arg(match kind {
            ClientKind::Normal => "normal",
            ClientKind::PubSub => "pubsub",
        });
        self.connection.call(command).await
    }
}
