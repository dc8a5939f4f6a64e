//! The answer to `ROLE`.

use redis::{FromRedisValue, Value, from_redis_value};

use crate::endpoint::Address;

/// What a data node believes it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary {
        /// Bytes of replication stream produced.
        offset: u64,
        /// The replicas connected to it, as they announce themselves.
        replicas: Vec<ReplicaOffset>,
    },
    /// It follows another node.
    Replica {
        /// The node it follows.
        primary: Address,
        /// How far the link is.
        link: LinkState,
        /// Bytes of replication stream received; `None` before the first sync.
        offset: Option<u64>,
    },
}

/// A replica as its primary sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaOffset {
    /// The address it announces.
    pub address: Address,
    /// The offset it last acknowledged.
    pub offset: u64,
}

/// State of a replica's link to its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// A connection is about to be made.
    Connect,
    /// TCP is being established.
    Connecting,
    /// Logging in and agreeing on what to send.
    Handshake,
    /// A full copy is being received.
    Sync,
    /// In the stream.
    Connected,
    /// A state this crate does not know.
    Unknown,
}

impl LinkState {
    fn parse(word: &str) -> Self {
        match word {
            "connect" => Self::Connect,
            "connecting" => Self::Connecting,
            "handshake" => Self::Handshake,
            "sync" => Self::Sync,
            "connected" => Self::Connected,
            _ => Self::Unknown,
        }
    }
}

impl Role {
    pub(crate) fn from_reply(reply: Value) -> Option<Self> {
        let mut fields = Vec::<Value>::from_redis_value(reply).ok()?.into_iter();
        let kind: String = next(&mut fields)?;
        match kind.as_str() {
            "master" => Some(Self::Primary {
                offset: next(&mut fields)?,
                replicas: next::<Vec<(String, u16, u64)>>(&mut fields)?
                    .into_iter()
                    .map(|(host, port, offset)| ReplicaOffset {
                        address: Address { host, port },
                        offset,
                    })
                    .collect(),
            }),
            "slave" => Some(Self::Replica {
                primary: Address {
                    host: next(&mut fields)?,
                    port: next(&mut fields)?,
                },
                link: LinkState::parse(&next::<String>(&mut fields)?),
                offset: u64::try_from(next::<i64>(&mut fields)?).ok(),
            }),
            _ => None,
        }
    }
}

fn next<T: FromRedisValue>(fields: &mut impl Iterator<Item = Value>) -> Option<T> {
    from_redis_value(fields.next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_primary_lists_its_replicas() {
        let reply = Value::Array(vec![
            bulk("master"),
            Value::Int(3129),
            Value::Array(vec![Value::Array(vec![
                bulk("bus-redis-1.bus"),
                bulk("6379"),
                bulk("3115"),
            ])]),
        ]);
        assert_eq!(
            Role::from_reply(reply),
            Some(Role::Primary {
                offset: 3129,
                replicas: vec![ReplicaOffset {
                    address: Address::new("bus-redis-1.bus", 6379),
                    offset: 3115,
                }],
            })
        );
    }

    #[test]
    fn a_replica_in_handshake_has_no_offset() {
        let reply = Value::Array(vec![
            bulk("slave"),
            bulk("127.0.0.1"),
            Value::Int(7391),
            bulk("handshake"),
            Value::Int(-1),
        ]);
        assert_eq!(
            Role::from_reply(reply),
            Some(Role::Replica {
                primary: Address::new("127.0.0.1", 7391),
                link: LinkState::Handshake,
                offset: None,
            })
        );
    }

    #[test]
    fn a_sentinel_is_no_data_node() {
        let reply = Value::Array(vec![bulk("sentinel"), Value::Array(vec![bulk("bus")])]);
        assert_eq!(Role::from_reply(reply), None);
    }
}
