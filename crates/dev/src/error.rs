//! Why there is no bus.

use cachebus_admin::Error as ServerError;
use cachebus_core::bus::Violation;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Exit code where the file or what was asked for is wrong, as for wrong options.
const WRONG: u8 = 2;
/// Exit code where a command cannot be run, as shells have it.
const NOT_RUN: u8 = 127;

/// Why there is no bus. Holds no password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevError {
    /// The file cannot be read.
    #[error("{}: {source}; `-f` names another file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no bus, or several.
    #[error("{}: {message}", path.display())]
    NoBus {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        message: String,
    },
    /// The bus of the file cannot be carried out.
    #[error("{}", Refused(path, violations))]
    Refused {
        /// The file.
        path: PathBuf,
        /// All that is wrong.
        violations: Vec<Violation>,
    },
    /// The file declares no such service.
    #[error("spec.services declares no {service}; there are: {}", known.join(", "))]
    ServiceUnknown {
        /// What was asked for.
        service: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No server is at hand.
    #[error(
        "neither redis-server nor valkey-server is on PATH: install one of them, name it (--server PATH), or use a running one (--connect redis://host:port)"
    )]
    NoServer,
    /// The program is no server of a supported version.
    #[error("{} is no server that is supported: {said}", path.display())]
    ProgramUnsupported {
        /// The program.
        path: PathBuf,
        /// What it said of itself.
        said: String,
    },
    /// The server ended, or never served.
    #[error("the server ended ({status}):\n{log}")]
    ServerEnded {
        /// How.
        status: ExitStatus,
        /// The last lines that it printed.
        log: String,
    },
    /// The server that was to be used must not be.
    #[error("{address} is not used: {why}")]
    ServerRefused {
        /// Where it is.
        address: String,
        /// Why not.
        why: String,
    },
    /// `--connect` names no server that could be used.
    #[error("--connect: {0}")]
    Connect(&'static str),
    /// The server refused what makes it a bus, or is away.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A user's rights are refused by the server.
    #[error("the server takes no rights of {user}: {source}")]
    User {
        /// The user.
        user: String,
        /// What the server said.
        source: ServerError,
    },
    /// The folder belongs to something else.
    #[error("{} holds other files: name another folder (--dir)", .0.display())]
    FolderTaken(PathBuf),
    /// The folder is in use.
    #[error("{} is in use by another `cachebus dev`: end it, or name another folder (--dir)", .0.display())]
    FolderInUse(PathBuf),
    /// A file of the state, or a program, does not do what is asked.
    #[error("{attempted} {}: {source}", path.display())]
    File {
        /// What was tried.
        attempted: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The command that the bus is for cannot be run.
    #[error("cannot run {command}: {source}")]
    Command {
        /// Its first word.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system gave no random numbers.
    #[error("no random numbers to draw a password from")]
    NoRandomness,
    /// Signals cannot be waited for, or nothing can be printed.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl DevError {
    /// Exit code of a program that ends by it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. }
            | Self::NoBus { .. }
            | Self::Refused { .. }
            | Self::ServiceUnknown { .. }
            | Self::Connect(_) => WRONG,
            Self::Command { .. } => NOT_RUN,
            _ => 1,
        }
    }

    pub(crate) fn file(
        attempted: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File {
            attempted,
            path,
            source,
        }
    }
}

/// One line for each violation.
struct Refused<'a>(&'a Path, &'a [Violation]);

impl fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(path, violations) = self;
        write!(f, "{}: the bus is refused", path.display())?;
        for violation in *violations {
            let Violation {
                path,
                reason,
                message,
            } = violation;
            write!(f, "\n  {path}: {message} ({reason})")?;
        }
        Ok(())
    }
}
