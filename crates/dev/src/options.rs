//! What a person asks for.

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// A `CacheBus` on a developer's machine.
#[derive(Debug, Parser)]
#[command(name = "cachebus", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Serves the bus of a file without a cluster: the same users, rights, contract and functions.
    ///
    /// Without a command it serves until it is ended, and follows the file. With one it serves as long as the command runs, and
    /// leaves nothing behind.
    Dev(Box<Options>),
}

/// What a person asks for.
#[derive(Args)]
pub struct Options {
    /// The `CacheBus`: the file that a cluster gets, other objects in it are passed over.
    #[arg(short, long, default_value = "cachebus.yaml")]
    pub file: PathBuf,
    /// Server to start. Default: `redis-server` or `valkey-server` on PATH, of the bus's kind if there is one.
    #[arg(long, value_name = "PATH", conflicts_with = "connect")]
    pub server: Option<PathBuf>,
    /// A running server to use, by a user that may administer it: `redis://[user:password@]host[:port]`. It must hold nothing.
    #[arg(
        long,
        value_name = "URL",
        env = "CACHEBUS_DEV_CONNECT",
        hide_env_values = true
    )]
    pub connect: Option<String>,
    /// Port on 127.0.0.1. Default: the one of the last time, else a free one.
    #[arg(long, conflicts_with = "connect")]
    pub port: Option<u16>,
    /// Folder for passwords, bindings and the server's log.
    #[arg(long, default_value = ".cachebus", conflicts_with = "command")]
    pub dir: PathBuf,
    /// Keeps the data over restarts, in an append-only file below the folder.
    #[arg(long, conflicts_with_all = ["connect", "command"])]
    pub keep: bool,
    /// Shows passwords where bindings are printed.
    #[arg(long, conflicts_with = "command")]
    pub show: bool,
    /// Service as which the command runs. Default: the bus's only one.
    #[arg(long, value_name = "NAME", requires = "command")]
    pub service: Option<String>,
    /// Command to run with the bus.
    #[arg(last = true)]
    pub command: Vec<OsString>,
}

/// A URL may hold a password.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("file", &self.file)
            .field("server", &self.server)
            .field("connects", &self.connect.is_some())
            .field("port", &self.port)
            .field("dir", &self.dir)
            .field("keep", &self.keep)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Options, clap::Error> {
        let all = ["cachebus", "dev"].iter().chain(arguments);
        Cli::try_parse_from(all).map(|Cli { command }| match command {
            Task::Dev(options) => *options,
        })
    }

    #[test]
    fn a_command_is_what_follows_two_dashes() {
        let options = parsed(&["--service", "a", "--", "cargo", "test", "--", "-q"]).unwrap();
        assert_eq!(options.command, ["cargo", "test", "--", "-q"]);
        assert_eq!(options.service.as_deref(), Some("a"));
        assert!(parsed(&["--service", "a"]).is_err());
        assert!(parsed(&["--keep", "--", "true"]).is_err());
    }

    #[test]
    fn the_password_of_a_url_is_not_shown() {
        let options = parsed(&["--connect", "redis://me:hunter2@h"]).unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
