//! Typed administration of Redis and Valkey servers and of Sentinels.
//!
//! A [`Server`] or a [`Sentinel`] is one authenticated connection to one [`Endpoint`]. Nothing here reconnects, retries or decides: each
//! call has the endpoint's deadline, answers with typed data or an [`Error`] that names the address and the command, and leaves policy to
//! the caller. Passwords travel as [`Secret`] and appear in no error and no `Debug` output.

mod acl;
mod command;
mod connection;
mod credentials;
mod endpoint;
mod error;
mod functions;
mod handshake;
mod info;
mod live_config;
mod role;
mod sentinel;
mod server;
mod snapshot;
mod streams;
mod tls;

pub use acl::{
    Acl, AclChange, AclFile, AclFileError, AclLedger, ApplyReport, DEFAULT_USER_RULES, DryRun, diff,
};
pub use credentials::{Credentials, Secret};
pub use endpoint::{Address, DEFAULT_DEADLINE, Endpoint};
pub use error::Error;
pub use functions::Functions;
pub use info::{
    Aof, Engine, Info, Keyspace, Memory, NodeRole, Rdb, ReplicaLine, Replication, UpstreamLink,
};
pub use live_config::LiveConfig;
pub use role::{LinkState, ReplicaOffset, Role};
pub use sentinel::{
    EVENT_CHANNELS, Flags, MonitoredMaster, MonitoredReplica, Outlook, PeerSentinel, Sentinel,
    SentinelEvent, SentinelEvents,
};
pub use server::{ClientKind, Server};
pub use snapshot::Snapshot;
pub use streams::{Backlog, ConsumerGroup, Stream, Trimmed};
pub use tls::{ClientIdentity, TlsContext, TlsMaterialError};
