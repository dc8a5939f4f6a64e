//! A Sentinel: what it watches and believes, and what it is told.

mod events;
mod hello;
mod monitored;

use std::collections::BTreeMap;

use rustls_pki_types::CertificateDer;

pub use events::{EVENT_CHANNELS, SentinelEvent, SentinelEvents};
pub use hello::Outlook;
pub use monitored::{Flags, MonitoredMaster, MonitoredReplica, PeerSentinel};

use crate::{
    acl::Acl,
    command::Command,
    connection::Connection,
    credentials::Credentials,
    endpoint::{Address, Endpoint},
    error::Error,
    info,
};

/// Options of `SENTINEL SET` whose value is a password.
const SECRET_OPTIONS: [&str; 1] = ["auth-pass"];

type Fields = BTreeMap<String, String>;

/// A connection to one Sentinel.
#[derive(Debug)]
pub struct Sentinel {
    connection: Connection,
}

impl Sentinel {
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

    /// The certificate the Sentinel showed; `None` in plain text.
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.connection.peer_certificate()
    }

    /// Whether the connection is known to have ended.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// The Sentinel's ACL users.
    pub fn acl(&self) -> Acl<'_> {
        Acl::new(&self.connection)
    }

    /// Any answer but an error.
    pub async fn ping(&self) -> Result<(), Error> {
        self.connection.call(Command::new("PING")).await
    }

    /// The Sentinel's identity: 40 hexadecimal digits, kept in its configuration file.
    pub async fn my_id(&self) -> Result<String, Error> {
        self.connection.call(Command::new("SENTINEL MYID")).await
    }

    /// Every `name:value` line of `INFO`, for metrics.
    pub async fn info(&self) -> Result<BTreeMap<String, String>, Error> {
        let text: String = self.connection.call(Command::new("INFO")).await?;
        Ok(info::lines(&text))
    }

    /// All monitored masters.
    pub async fn masters(&self) -> Result<Vec<MonitoredMaster>, Error> {
        let listed: Vec<Fields> = self
            .connection
            .call(Command::new("SENTINEL MASTERS"))
            .await?;
        self.read("SENTINEL MASTERS", &listed, MonitoredMaster::from_fields)
    }

    /// One monitored master; refused when there is none of that name.
    pub async fn master(&self, name: &str) -> Result<MonitoredMaster, Error> {
        let fields: Fields = self
            .connection
            .call(Command::new("SENTINEL MASTER").arg(name))
            .await?;
        MonitoredMaster::from_fields(&fields)
            .ok_or_else(|| self.connection.unexpected("SENTINEL MASTER", "a master"))
    }

    /// The replicas known for a master, those long gone included.
    pub async fn replicas(&self, name: &str) -> Result<Vec<MonitoredReplica>, Error> {
        let listed: Vec<Fields> = self
            .connection
            .call(Command::new("SENTINEL REPLICAS").arg(name))
            .await?;
        self.read("SENTINEL REPLICAS", &listed, MonitoredReplica::from_fields)
    }

    /// The other Sentinels known for a master, those long gone included.
    pub async fn sentinels(&self, name: &str) -> Result<Vec<PeerSentinel>, Error> {
        let listed: Vec<Fields> = self
            .connection
            .call(Command::new("SENTINEL SENTINELS").arg(name))
            .await?;
        self.read("SENTINEL SENTINELS", &listed, PeerSentinel::from_fields)
    }

    fn read<T>(
        &self,
        command: &'static str,
        listed: &[Fields],
        parse: impl Fn(&Fields) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        listed
            .iter()
            .map(|fields| {
                parse(fields).ok_or_else(|| self.connection.unexpected(command, "known fields"))
            })
            .collect()
    }

    /// Where a master is at this moment, by what this Sentinel believes; `None` when it monitors no such name.
    pub async fn primary_address(&self, name: &str) -> Result<Option<Address>, Error> {
        let found: Option<(String, u16)> = self
            .connection
            .call(Command::new("SENTINEL GET-MASTER-ADDR-BY-NAME").arg(name))
            .await?;
        Ok(found.map(|(host, port)| Address { host, port }))
    }

    /// Starts to monitor a master, with config epoch 0. Refused for a known name, and for a host that does not resolve at this moment.
    pub async fn monitor(&self, name: &str, primary: &Address, quorum: u32) -> Result<(), Error> {
        let command = Command::new("SENTINEL MONITOR")
            .arg(name)
            .arg(&primary.host)
            .arg(primary.port.to_string())
            .arg(quorum.to_string());
        self.connection.call(command).await
    }

    /// Sets options of a master, such as `down-after-milliseconds`, `auth-user`, `auth-pass`.
    pub async fn set(&self, name: &str, options: &[(&str, &str)]) -> Result<(), Error> {
        let command = options.iter().fold(
            Command::new("SENTINEL SET").arg(name),
            |command, &(option, value)| {
                let command = command.arg(option);
                if SECRET_OPTIONS.contains(&option) {
                    command.secret(value)
                } else {
                    command.arg(value)
                }
            },
        );
        self.connection.call(command).await
    }

    /// Stops to monitor a master and forgets its config epoch.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        self.connection
            .call(Command::new("SENTINEL REMOVE").arg(name))
            .await
    }

    /// Forgets what was found of the masters whose name fits the pattern: replicas, other Sentinels, a failover that runs. Where the
    /// master is, its config epoch and its options stay.
    pub async fn reset(&self, pattern: &str) -> Result<(), Error> {
        self.connection
            .call::<i64>(Command::new("SENTINEL RESET").arg(pattern))
            .await
            .map(drop)
    }

    /// Sentinel's own failover, without asking the other Sentinels. On a live primary that still takes writes, acknowledged ones are lost.
    /// Refused with `INPROG` while one runs and with `NOGOODSLAVE` when no replica is fit.
    pub async fn failover(&self, name: &str) -> Result<(), Error> {
        self.connection
            .call(Command::new("SENTINEL FAILOVER").arg(name))
            .await
    }

    /// Writes the configuration file.
    pub async fn flush_config(&self) -> Result<(), Error> {
        self.connection
            .call(Command::new("SENTINEL FLUSHCONFIG"))
            .await
    }
}
