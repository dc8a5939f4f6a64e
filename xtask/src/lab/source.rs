//! Where nodes and engines come from.

use std::fmt;
use std::fs;
use std::time::Duration;

use crate::command::Cmd;
use crate::progress::{note, step};

use super::home::Home;
use super::versions::NODE_IMAGE;

/// How long a registry may take to answer before the lab builds everything itself.
const PROBE_LIMIT: Duration = Duration::from_secs(15);

/// Where nodes and engines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Source {
    /// Public images from container registries.
    Registry,
    /// Go modules and Debian packages, built on this machine.
    Packages,
}

impl Source {
    /// The one in use, else the one that `wanted` names, else the registry when it answers.
    ///
    /// The choice is kept in the lab's folder, so that a registry is asked once.
    pub(crate) fn choose(home: &Home, wanted: Option<Self>) -> anyhow::Result<Self> {
        let record = home.root().join("source");
        if let Some(wanted) = wanted {
            fs::write(&record, wanted.to_string())?;
            return Ok(wanted);
        }
        if let Some(known) = Self::recorded(home) {
            return Ok(known);
        }
        let found = step("asking for a container registry", || {
            Ok(
                if Cmd::limited("docker", PROBE_LIMIT)
                    .args(["manifest", "inspect", NODE_IMAGE])
                    .succeeds()
                {
                    Self::Registry
                } else {
                    Self::Packages
                },
            )
        })?;
        match found {
            Self::Registry => note("   it answers: public images are used"),
            Self::Packages => note("   none answers: everything is built from packages"),
        }
        fs::write(&record, found.to_string())?;
        Ok(found)
    }

    /// The choice of an earlier run.
    pub(crate) fn recorded(home: &Home) -> Option<Self> {
        let kept = fs::read_to_string(home.root().join("source")).ok()?;
        [Self::Registry, Self::Packages]
            .into_iter()
            .find(|source| source.to_string() == kept.trim())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "registry",
            Self::Packages => "packages",
        })
    }
}
