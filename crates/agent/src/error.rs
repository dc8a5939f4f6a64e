//! Why the agent ends, or cannot do what it was about to.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What went wrong, with what was tried and on what. Holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The environment does not say which pod this is.
    #[error("POD_NAME is not set")]
    NoPodName,
    /// A file or folder could not be read or written.
    #[error("{action} {path}: {source}")]
    File {
        /// What was tried: `reading`, `writing` …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The mounted `agent.json` is not what this agent understands.
    #[error("{path} does not parse: {source}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The mounted certificate, key or authority cannot be used.
    #[error("TLS material in {path}: {message}")]
    TlsMaterial {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The ACL file is one that no server is to follow.
    #[error("{path}: {source}")]
    AclFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: cachebus_admin::AclFileError,
    },
    /// The engine's program could not be started.
    #[error("starting {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The engine's program does not tell its version.
    #[error("{program} --version answered without a version")]
    Version {
        /// The program.
        program: String,
    },
    /// The server's end could not be awaited, or a signal could not be sent.
    #[error("{action} the server: {source}")]
    Process {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A port could not be opened.
    #[error("listening on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server ended too often to be started once more.
    #[error("the server ended {crashes} times in 10 minutes, last with {code}")]
    CrashLoop {
        /// Ends counted.
        crashes: usize,
        /// Exit code of the last one, 128 + n where signal n ended it.
        code: u8,
    },
    /// There is no connection to the server in this pod, so that nothing can be asked of it.
    #[error("the server does not answer")]
    NotConnected,
    /// A call to the server or to a Sentinel failed.
    #[error(transparent)]
    Engine(#[from] cachebus_admin::Error),
}

impl AgentError {
    /// A stable word for logs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoPodName => "NoPodName",
            Self::File { .. } => "FileFailed",
            Self::Config { .. } => "ConfigInvalid",
            Self::TlsMaterial { .. } => "TlsMaterialInvalid",
            Self::AclFile { source, .. } => source.reason(),
            Self::Spawn { .. } => "SpawnFailed",
            Self::Version { .. } => "VersionUnknown",
            Self::Process { .. } => "ProcessFailed",
            Self::Listen { .. } => "ListenFailed",
            Self::CrashLoop { .. } => "CrashLoop",
            Self::NotConnected => "NotRunning",
            Self::Engine(error) => error.reason(),
        }
    }

    /// What the process shall exit with, so that kubelet shows the server's own code after a crash loop.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::CrashLoop { code, .. } if *code != 0 => *code,
            _ => 1,
        }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
