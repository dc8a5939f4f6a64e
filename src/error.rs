//! What can go wrong in a pass over a bus. That the bus cannot get further is no error, see `cachebus_core::plan::Blocked`.

use crate::agents::AgentError;
use crate::passwords::NoRandomness;
use crate::pki::PkiError;
use std::time::Duration;

/// What went wrong in a pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a request, or did not answer it.
    #[error("cannot {verb} {kind} {name}: {detail}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
        /// HTTP status, where there was an answer.
        code: Option<u16>,
        /// What the API server said. Of a Secret no more than the reason, since a text could quote it.
        detail: String,
    },
    /// A certificate could not be issued.
    #[error(transparent)]
    Certificate(#[from] PkiError),
    /// No password could be drawn.
    #[error(transparent)]
    Password(#[from] NoRandomness),
    /// No agent can be spoken to.
    #[error(transparent)]
    Agents(#[from] AgentError),
    /// The pass took too long.
    #[error("the pass did not end within {0:?}")]
    Deadline(Duration),
}

impl Error {
    /// An error of the Kubernetes client.
    pub fn api(verb: &'static str, kind: &str, name: &str, error: &kube::Error) -> Self {
        let secret = kind == "Secret";
        let (code, detail) = match error {
            kube::Error::Api(status) if secret => (Some(status.code), status.reason.clone()),
            kube::Error::Api(status) => (Some(status.code), status.message.clone()),
            kube::Error::SerdeError(_) => (None, "the answer cannot be read".to_owned()),
            other => (None, brief(other)),
        };
        Self::Api {
            verb,
            kind: kind.to_owned(),
            name: name.to_owned(),
            code,
            detail,
        }
    }

    /// Why, in one stable word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Api { code: None, .. } => "ApiUnreachable",
            Self::Api {
                code: Some(403), ..
            } => "Forbidden",
            Self::Api {
                code: Some(409), ..
            } => "Conflict",
            Self::Api {
                code: Some(400..500),
                ..
            } => "Rejected",
            Self::Api { .. } => "ApiError",
            Self::Certificate(_) => "CertificateError",
            Self::Password(_) => "NoRandomness",
            Self::Agents(_) => "AgentsUnreachable",
            Self::Deadline(_) => "Deadline",
        }
    }

    /// Whether the object changed between the decision and its writing.
    pub fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Api {
                code: Some(409),
                ..
            }
        )
    }

    /// Whether the API server understood the request and will not do it, however often it is tried.
    pub fn is_rejected(&self) -> bool {
        matches!(
            self,
            Self::Api {
                code: Some(400 | 403 | 404 | 405 | 413 | 422),
                ..
            }
        )
    }
}

/// What the API server said, where an error is due to that; else the error with its causes.
pub fn brief(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(kube::Error::Api(status)) = error.downcast_ref() {
            return status.message.clone();
        }
        cause = error.source();
    }
    chain(error)
}

/// An error with its causes, on a line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Error;
    use kube::core::Status;

    fn refused(kind: &str) -> Error {
        let status = Status::failure("data[password]: hunter2", "Invalid").with_code(422);
        Error::api("patch", kind, "b", &kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn nothing_is_quoted_from_a_secret() {
        assert_eq!(
            refused("Secret").to_string(),
            "cannot patch Secret b: Invalid"
        );
        assert!(refused("Service").to_string().contains("data[password]"));
    }

    #[test]
    fn what_cannot_succeed_is_told_from_what_may() {
        assert!(refused("Service").is_rejected());
        assert_eq!(refused("Service").reason(), "Rejected");
    }
}
