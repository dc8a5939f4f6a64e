//! Why a call failed.

use std::{io, time::Duration};

use crate::endpoint::Address;

/// A failed connection or command. Carries names of commands, never their arguments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// TCP could not be established.
    #[error("connecting to {address}: {source}")]
    Connect {
        /// The address dialled.
        address: Address,
        /// What the network said.
        source: io::Error,
    },
    /// The TLS handshake failed: not TLS, another CA, another name, or a certificate of ours that was refused.
    #[error("TLS handshake with {address} as {server_name}: {source}")]
    Tls {
        /// The address dialled.
        address: Address,
        /// The name verified.
        server_name: String,
        /// What rustls or the peer said.
        source: io::Error,
    },
    /// The server does not accept the user or the password.
    #[error("{address} refused the login of {username}")]
    Auth {
        /// The address dialled.
        address: Address,
        /// The user that tried.
        username: String,
    },
    /// No answer within the deadline; whether the command took effect is unknown.
    #[error("{attempted} on {address}: no answer within {after:?}")]
    Timeout {
        /// The address dialled.
        address: Address,
        /// `connect` or the command.
        attempted: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The connection ended before the answer; whether the command took effect is unknown.
    #[error("{attempted} on {address}: connection lost: {source}")]
    Disconnected {
        /// The address dialled.
        address: Address,
        /// The login or the command.
        attempted: &'static str,
        /// What the connection said.
        source: io::Error,
    },
    /// The server answered with an error.
    #[error("{address} refused {command}: {code} {message}")]
    Refused {
        /// The address dialled.
        address: Address,
        /// The command.
        command: &'static str,
        /// The server's error code, such as `ERR`, `NOPERM`, `LOADING`.
        code: String,
        /// The server's text, with secret arguments replaced.
        message: String,
    },
    /// The answer has another shape than the command's.
    #[error("{command} on {address}: unexpected reply: {detail}")]
    UnexpectedReply {
        /// The address dialled.
        address: Address,
        /// The command.
        command: &'static str,
        /// What was expected.
        detail: String,
    },
}

impl Error {
    /// A stable word for conditions, Events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "ConnectFailed",
            Self::Tls { .. } => "TlsFailed",
            Self::Auth { .. } => "AuthFailed",
            Self::Timeout { .. } => "Timeout",
            Self::Disconnected { .. } => "Disconnected",
            Self::Refused { .. } => "CommandRefused",
            Self::UnexpectedReply { .. } => "UnexpectedReply",
        }
    }

    /// The address that was tried.
    pub fn address(&self) -> &Address {
        match self {
            Self::Connect { address, .. }
            | Self::Tls { address, .. }
            | Self::Auth { address, .. }
            | Self::Timeout { address, .. }
            | Self::Disconnected { address, .. }
            | Self::Refused { address, .. }
            | Self::UnexpectedReply { address, .. } => address,
        }
    }

    /// The server's error code, when it answered with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The server is up, and still reads its dataset from disk.
    pub fn is_loading(&self) -> bool {
        self.code() == Some("LOADING")
    }

    /// The connection is of no more use: connect anew. After a timeout the next command may still succeed, but it waits behind the one
    /// that did not.
    pub fn needs_reconnect(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Tls { .. }
                | Self::Auth { .. }
                | Self::Timeout { .. }
                | Self::Disconnected { .. }
        )
    }
}
