//! What can go wrong, by what the caller can do about it.

use std::fmt;
use std::sync::Arc;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. No message holds a password, a value or what a server said beyond its error code.
///
/// Cheap to clone: callers that shared one load share its error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The binding cannot be read, or is none.
    #[error("{0}")]
    Binding(String),
    /// The contract does not have, or does not grant, what was asked for.
    #[error("{0}")]
    Contract(String),
    /// Parts of a key do not fit its template.
    #[error("{0}")]
    KeyInvalid(String),
    /// A value cannot be encoded, or stored bytes are no value.
    #[error("{0}")]
    ValueInvalid(String),
    /// An encoded value is above the size limit.
    #[error("the value has {bytes} bytes, {limit} are allowed")]
    ValueTooLarge {
        /// Size of the encoded value.
        bytes: usize,
        /// What the keyspace allows.
        limit: usize,
    },
    /// No server could be reached in time. Nothing was sent.
    #[error("{0}")]
    Unavailable(String),
    /// The server refused and did nothing: it loads, is no primary, or lacks replicas.
    #[error("{0}")]
    Refused(String),
    /// It was sent and no answer came: nobody knows whether it was done. Where repeating is safe the client has done so already.
    #[error("{command}: no answer")]
    OutcomeUnknown {
        /// What was sent.
        command: String,
        /// Whether doing it again is the same as doing it once.
        repeatable: bool,
    },
    /// The primary has the event, but fewer copies than the contract asks for have said that they do. Emitting again with the same
    /// `event_id` is safe and waits for the copies again.
    #[error("{event_id}: {confirmed} of {wanted} replicas confirmed")]
    Unconfirmed {
        /// The event.
        event_id: String,
        /// Replicas that have it.
        confirmed: u64,
        /// Replicas that the contract asks for.
        wanted: u64,
    },
    /// The server does not take the binding's user and password.
    #[error("{0}")]
    AuthenticationFailed(String),
    /// The service's rights do not allow this.
    #[error("{command}: the service's rights do not allow it")]
    Denied {
        /// What was sent.
        command: String,
    },
    /// The server has no memory left for writes. Nothing was done.
    #[error("{command}: the server's memory is full")]
    MemoryFull {
        /// What was sent.
        command: String,
    },
    /// The server has no function library, and what was asked for needs it.
    #[error("{command}: the function library is not loaded")]
    FunctionsMissing {
        /// What was sent.
        command: String,
    },
    /// A stream has lost its consumer group, or was lost together with it.
    #[error("{command}: the consumer group is gone")]
    GroupMissing {
        /// What was sent.
        command: String,
    },
    /// Any other error of the server.
    #[error("{command}: {code}")]
    Server {
        /// What was sent.
        command: String,
        /// First word of the error.
        code: String,
    },
    /// Another holds the lock, for as long as was waited.
    #[error("another holds the lock")]
    LockBusy,
    /// The lock is not held any more; another may hold it.
    #[error("the lock ran out or was taken away")]
    LockLost,
    /// The loader of a cached value failed. Its own error is the `source`.
    #[error("the loader failed")]
    LoadFailed(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// The kinds of errors. Their names are the same in every language, and stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// [`Error::Binding`]
    BindingError,
    /// [`Error::Contract`]
    ContractError,
    /// [`Error::KeyInvalid`]
    KeyInvalid,
    /// [`Error::ValueInvalid`]
    ValueInvalid,
    /// [`Error::ValueTooLarge`]
    ValueTooLarge,
    /// [`Error::Unavailable`]
    Unavailable,
    /// [`Error::Refused`]
    Refused,
    /// [`Error::OutcomeUnknown`]
    OutcomeUnknown,
    /// [`Error::Unconfirmed`]
    Unconfirmed,
    /// [`Error::AuthenticationFailed`]
    AuthenticationFailed,
    /// [`Error::Denied`]
    Denied,
    /// [`Error::MemoryFull`]
    MemoryFull,
    /// [`Error::FunctionsMissing`]
    FunctionsMissing,
    /// [`Error::GroupMissing`]
    GroupMissing,
    /// [`Error::Server`]
    ServerError,
    /// [`Error::LockBusy`]
    LockBusy,
    /// [`Error::LockLost`]
    LockLost,
    /// [`Error::LoadFailed`]
    LoadFailed,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Error {
    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Binding(_) => ErrorKind::BindingError,
            Self::Contract(_) => ErrorKind::ContractError,
            Self::KeyInvalid(_) => ErrorKind::KeyInvalid,
            Self::ValueInvalid(_) => ErrorKind::ValueInvalid,
            Self::ValueTooLarge { .. } => ErrorKind::ValueTooLarge,
            Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Refused(_) => ErrorKind::Refused,
            Self::OutcomeUnknown { .. } => ErrorKind::OutcomeUnknown,
            Self::Unconfirmed { .. } => ErrorKind::Unconfirmed,
            Self::AuthenticationFailed(_) => ErrorKind::AuthenticationFailed,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::MemoryFull { .. } => ErrorKind::MemoryFull,
            Self::FunctionsMissing { .. } => ErrorKind::FunctionsMissing,
            Self::GroupMissing { .. } => ErrorKind::GroupMissing,
            Self::Server { .. } => ErrorKind::ServerError,
            Self::LockBusy => ErrorKind::LockBusy,
            Self::LockLost => ErrorKind::LockLost,
            Self::LoadFailed(_) => ErrorKind::LoadFailed,
        }
    }

    /// Whether the same call may work a moment later, and may be made. That of an [`Error::LoadFailed`] is the loader's to say.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::OutcomeUnknown { repeatable, .. } => *repeatable,
            Self::Unavailable(_)
            | Self::Refused(_)
            | Self::Unconfirmed { .. }
            | Self::AuthenticationFailed(_)
            | Self::MemoryFull { .. }
            | Self::FunctionsMissing { .. }
            | Self::GroupMissing { .. }
            | Self::LockBusy => true,
            Self::Binding(_)
            | Self::Contract(_)
            | Self::KeyInvalid(_)
            | Self::ValueInvalid(_)
            | Self::ValueTooLarge { .. }
            | Self::Denied { .. }
            | Self::Server { .. }
            | Self::LockLost
            | Self::LoadFailed(_) => false,
        }
    }

    /// Whether the server surely did nothing, and another, or the same a moment later, may.
    pub(crate) fn is_undone(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Refused(_))
    }
}
