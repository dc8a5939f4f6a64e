//! What a Sentinel publishes as it happens.

use futures::StreamExt;
use redis::{
    Msg, RedisConnectionInfo,
    aio::{PubSub, PubSubSink, PubSubStream},
};
use tokio::time::timeout;

use crate::{
    command::Command,
    connection::failed,
    credentials::Credentials,
    endpoint::{Address, Endpoint},
    error::Error,
    handshake::establish,
};

/// The channels listened to, each of which the user's ACL must allow. A Sentinel that carries a failover out publishes all three, in this
/// order: it begins, clients are told of the new master, the replicas have come over. The others publish the last, when they hear of it.
pub const EVENT_CHANNELS: [&str; 3] = ["+try-failover", "+promoted-slave", "+switch-master"];

/// Something a Sentinel published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentinelEvent {
    /// The master is elsewhere from now on.
    SwitchMaster {
        /// Its name.
        master: String,
        /// Where it was.
        from: Address,
        /// Where it is.
        to: Address,
    },
    /// Any other event, in the Sentinel's words.
    Other {
        /// The channel, such as `+promoted-slave`.
        name: String,
        /// The instance it is about, or what happened.
        details: String,
    },
}

/// A subscription to one Sentinel's events.
pub struct SentinelEvents {
    endpoint: Endpoint,
    sink: PubSubSink,
    stream: PubSubStream,
}

impl std::fmt::Debug for SentinelEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SentinelEvents")
            .field(&self.endpoint.address)
            .finish()
    }
}

impl SentinelEvents {
    /// Connects, logs in and subscribes to [`EVENT_CHANNELS`]. What happened before is not told: ask for the master's address after it.
    pub async fn subscribe(
        endpoint: &Endpoint,
        credentials: Option<&Credentials>,
    ) -> Result<Self, Error> {
        let established = establish(endpoint, credentials).await?;
        let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
        let subscribing = async {
            let mut pubsub = PubSub::new(&silent, established.stream).await?;
            pubsub.subscribe(&EVENT_CHANNELS).await?;
            Ok(pubsub.split())
        };
        let (sink, stream) = timeout(endpoint.deadline, subscribing)
            .await
            .map_err(|_| Error::Timeout {
                address: endpoint.address.clone(),
                attempted: "SUBSCRIBE",
                after: endpoint.deadline,
            })?
            .map_err(|error| failed(endpoint, &Command::new("SUBSCRIBE"), &error))?;
        Ok(Self {
            endpoint: endpoint.clone(),
            sink,
            stream,
        })
    }

    /// The next event; `None` once the connection has ended, or the Sentinel no longer answers: it is pinged whenever it was silent for
    /// the endpoint's deadline. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<SentinelEvent> {
        loop {
            match timeout(self.endpoint.deadline, self.stream.next()).await {
                Ok(Some(message)) => {
                    if let Some(event) = SentinelEvent::parse(&message) {
                        return Some(event);
                    }
                }
                Ok(None) => return None,
                Err(_silent) => self.ping().await?,
            }
        }
    }

    async fn ping(&mut self) -> Option<()> {
        let answered = timeout(self.endpoint.deadline, self.sink.ping::<redis::Value>()).await;
        answered.ok()?.ok().map(drop)
    }
}

impl SentinelEvent {
    fn parse(message: &Msg) -> Option<Self> {
        let details = message.get_payload().ok()?;
        Some(Self::read(message.get_channel_name(), details))
    }

    fn read(name: &str, details: String) -> Self {
        if name == "+switch-master"
            && let [master, from, from_port, to, to_port] =
                details.split(' ').collect::<Vec<_>>()[..]
            && let (Ok(from_port), Ok(to_port)) = (from_port.parse(), to_port.parse())
        {
            return Self::SwitchMaster {
                master: master.to_owned(),
                from: Address::new(from, from_port),
                to: Address::new(to, to_port),
            };
        }
        Self::Other {
            name: name.to_owned(),
            details,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_names_both_addresses() {
        assert_eq!(
            SentinelEvent::read(
                "+switch-master",
                "bus 10.0.0.1 6379 redis-1.bus 6380".to_owned()
            ),
            SentinelEvent::SwitchMaster {
                master: "bus".to_owned(),
                from: Address::new("10.0.0.1", 6379),
                to: Address::new("redis-1.bus", 6380),
            }
        );
    }

    #[test]
    fn another_event_keeps_its_words() {
        let details = "slave 10.0.0.2:6379 10.0.0.2 6379 @ bus 10.0.0.1 6379".to_owned();
        assert_eq!(
            SentinelEvent::read("+promoted-slave", details.clone()),
            SentinelEvent::Other {
                name: "+promoted-slave".to_owned(),
                details,
            }
        );
    }
}
