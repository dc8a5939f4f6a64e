//! By which a writer comes to the primary, again and again.

use std::time::Duration;

use cachebus_e2e::cells::Way;
use cachebus_e2e::history::code;
use redis::aio::MultiplexedConnection;
use redis::sentinel::SentinelClient;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError};
use tokio::time::timeout;

use crate::binding::Binding;
use crate::connect::{client, through_sentinel};

/// Time for a connection to a server.
const CONNECT: Duration = Duration::from_millis(500);

/// Time to ask the Sentinels and to connect. The stock client waits a second for one that does not answer.
const FIND: Duration = Duration::from_secs(2);

/// By which a writer comes to the primary.
pub enum Door {
    /// Through the primary's Service.
    Service(Box<Client>),
    /// By asking the Sentinels; connections to them are kept.
    Sentinel(Box<SentinelClient>),
}

impl Door {
    /// The door of this way. Nothing is asked yet.
    pub async fn to(binding: &Binding, way: Way) -> anyhow::Result<Self> {
        Ok(match way {
            Way::Service => Self::Service(Box::new(client(binding, way).await?)),
            Way::ThroughSentinel | Way::Sentinel => {
                Self::Sentinel(Box::new(through_sentinel(binding)?))
            }
        })
    }

    /// A new connection with this time for each answer; or the code for why there is none.
    pub async fn connect(&mut self, answer: Duration) -> Result<MultiplexedConnection, String> {
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(answer));
        let connected = match self {
            Self::Service(client) => {
                let connecting = client.get_multiplexed_async_connection_with_config(&limits);
                timeout(CONNECT, connecting).await
            }
            Self::Sentinel(client) => {
                timeout(FIND, client.get_async_connection_with_config(&limits)).await
            }
        };
        match connected {
            Ok(connected) => connected.map_err(|error| reason(&error)),
            Err(_) => Err(code::CONNECT_TIMEOUT.to_owned()),
        }
    }
}

fn reason(error: &RedisError) -> String {
    let reason = match error.code() {
        Some(code) => code,
        None if error.kind() == ErrorKind::MasterNameNotFoundBySentinel => code::NO_PRIMARY,
        None if error.is_timeout() => code::CONNECT_TIMEOUT,
        None => code::NOT_CONNECTED,
    };
    reason.to_owned()
}
