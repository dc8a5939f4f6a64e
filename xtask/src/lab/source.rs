//! Where nodes and engines come from.

use std::fmt;
use std::fs;
use std::path::PathBuf;
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
    /// The one that `wanted` names, else the one in use, else what `ask` finds.
    ///
    /// What was found is [kept](Self::keep) only once something was built by it: a registry that is away for a moment must not
    /// have everything built from packages for good.
    pub(crate) fn choose(
        home: &Home,
        wanted: Option<Self>,
        ask: impl FnOnce() -> anyhow::Result<Self>,
    ) -> anyhow::Result<Self> {
        if let Some(wanted) = wanted {
            wanted.keep(home)?;
            return Ok(wanted);
        }
        match Self::recorded(home) {
            Some(known) => Ok(known),
            None => ask(),
        }
    }

    /// The registry where it answers.
    pub(crate) fn ask() -> anyhow::Result<Self> {
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
        Ok(found)
    }

    /// Stays with this choice from now on.
    pub(crate) fn keep(self, home: &Home) -> anyhow::Result<()> {
        fs::write(record(home), self.to_string())?;
        Ok(())
    }

    /// The choice of an earlier run.
    fn recorded(home: &Home) -> Option<Self> {
        let kept = fs::read_to_string(record(home)).ok()?;
        [Self::Registry, Self::Packages]
            .into_iter()
            .find(|source| source.to_string() == kept.trim())
    }
}

fn record(home: &Home) -> PathBuf {
    home.root().join("source")
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "registry",
            Self::Packages => "packages",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_registry_is_asked_again_until_something_was_built_and_a_wish_is_kept_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path()).unwrap();
        let choose = |wanted, found| Source::choose(&home, wanted, || Ok(found)).unwrap();
        assert_eq!(choose(None, Source::Packages), Source::Packages);
        assert_eq!(choose(None, Source::Registry), Source::Registry);
        Source::Registry.keep(&home).unwrap();
        assert_eq!(choose(None, Source::Packages), Source::Registry);
        assert_eq!(
            choose(Some(Source::Packages), Source::Registry),
            Source::Packages
        );
        assert_eq!(choose(None, Source::Registry), Source::Packages);
    }
}
