//! Why an agent did not answer, or did not obey.

use crate::error::chain;
use cachebus_core::protocol::Refusal;
use std::io;
use std::time::Duration;

/// Why an agent did not answer, or did not obey.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no certificate to speak with.
    #[error("no TLS for the agents of {bus}: {detail}")]
    Tls {
        /// The bus.
        bus: String,
        /// What is wrong with the certificates. Quotes nothing of them.
        detail: String,
    },
    /// It could not be reached, or is not who it should be.
    #[error("{pod} cannot be reached at {address}: {source}")]
    Connect {
        /// The pod.
        pod: String,
        /// Its address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It did not answer in time.
    #[error("{pod} did not answer within {after:?}")]
    Deadline {
        /// The pod.
        pod: String,
        /// Time that it had.
        after: Duration,
    },
    /// The connection broke.
    #[error("the connection to {pod} broke: {detail}")]
    Broken {
        /// The pod.
        pod: String,
        /// How.
        detail: String,
    },
    /// It answered what nobody can read.
    #[error("the answer of {pod} cannot be read: {detail}")]
    Unreadable {
        /// The pod.
        pod: String,
        /// Why.
        detail: String,
    },
    /// Another pod has its address by now.
    #[error("{stranger} answers in the place of {pod}")]
    Stranger {
        /// The pod.
        pod: String,
        /// Who answers.
        stranger: String,
    },
    /// It answered with another status than it should.
    #[error("{pod} answered with status {status}")]
    Status {
        /// The pod.
        pod: String,
        /// HTTP status.
        status: u16,
    },
    /// It will not carry out the order.
    #[error("{pod} refuses: {}", refusal.message)]
    Refused {
        /// The pod.
        pod: String,
        /// Why.
        refusal: Refusal,
    },
}

impl AgentError {
    /// An answer that cannot be read.
    pub fn unreadable(pod: &str, error: &dyn std::error::Error) -> Self {
        Self::Unreadable {
            pod: pod.to_owned(),
            detail: chain(error),
        }
    }

    /// Why, in one stable word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Tls { .. } => "tls",
            Self::Connect { .. } => "unreachable",
            Self::Deadline { .. } => "deadline",
            Self::Broken { .. } => "broken",
            Self::Unreadable { .. } => "unreadable",
            Self::Stranger { .. } => "stranger",
            Self::Status { .. } => "status",
            Self::Refused { .. } => "refused",
        }
    }
}
