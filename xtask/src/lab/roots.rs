//! Images made of a minimal Debian and some of its packages.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::command::{Cmd, tail};
use crate::progress::{note, step};

use super::docker::{self, Fingerprint};
use super::home::Home;
use super::versions::{DEBIAN, DEBIAN_ENGINES, DEBIAN_ENGINES_LATER};

/// What an image has no use for.
const DROPPED: [&str; 5] = [
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
];

/// A minimal Debian with some packages, as an image.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) image: &'static str,
    suite: &'static str,
    packages: &'static [&'static str],
    /// Servers, each with the minor version that the lab is for.
    servers: &'static [(&'static str, &'static str)],
}

/// A release, and where it is other than where `debootstrap` looks by itself.
type Origin = (&'static str, Option<&'static str>);

/// For the pods that make and remove volumes.
pub(crate) const HELPER: Root = Root {
    image: "localhost/debian:bookworm",
    suite: DEBIAN,
    packages: &["ca-certificates"],
    servers: &[],
};

/// Redis as of the stable release.
pub(crate) const REDIS_STABLE: Root = Root {
    image: "localhost/cachebus-lab/redis-stable:bookworm",
    suite: DEBIAN,
    packages: &["redis-server", "redis-tools", "ca-certificates"],
    servers: &[("redis-server", "7.0")],
};

/// The newer engines, side by side.
pub(crate) const ENGINES: Root = Root {
    image: "localhost/cachebus-lab/engines:sid",
    suite: DEBIAN_ENGINES,
    packages: &[
        "redis-server",
        "redis-tools",
        "valkey-server",
        "valkey-tools",
        "ca-certificates",
    ],
    servers: &[("redis-server", "8.0"), ("valkey-server", "9.1")],
};

/// The stock client in another language than the project's.
pub(crate) const PYTHON: Root = Root {
    image: "localhost/cachebus-e2e-python:dev",
    suite: DEBIAN,
    packages: &["python3-minimal", "python3-redis", "ca-certificates"],
    servers: &[],
};

/// A database beside an engine, for what takes from one and gives to the other; and Python, in which some of that is written.
pub(crate) const POSTGRES: Root = Root {
    image: "localhost/cachebus-lab/postgres:bookworm",
    suite: DEBIAN,
    packages: &["postgresql-15", "redis-server", "python3"],
    servers: &[("redis-server", "7.0")],
};

/// What a node runs on.
pub(crate) const NODE: Root = Root {
    image: "localhost/cachebus-lab/node-root:bookworm",
    suite: DEBIAN,
    packages: &[
        "systemd",
        "conntrack",
        "iptables",
        "nftables",
        "iproute2",
        "ethtool",
        "kmod",
        "libseccomp2",
        "procps",
        "jq",
        "curl",
        "mount",
        "util-linux",
        "containerd",
        "runc",
        "ca-certificates",
        "e2fsprogs",
        "pigz",
    ],
    servers: &[],
};

impl Root {
    /// What the image is made from.
    pub(crate) fn inputs(&self) -> Fingerprint {
        Fingerprint::of(
            [self.suite]
                .into_iter()
                .chain(self.packages.iter().copied()),
        )
    }

    /// The Debian release it is made from.
    pub(crate) const fn suite(&self) -> &'static str {
        self.suite
    }

    /// Whether Docker has the image, made from the same inputs.
    pub(crate) fn is_present(&self) -> bool {
        docker::has(self.image, &self.inputs())
    }

    /// Builds the image unless it is there.
    pub(crate) fn ensure(&self, home: &Home) -> anyhow::Result<()> {
        if self.is_present() {
            return Ok(());
        }
        let inputs = self.inputs();
        let scratch = home.scratch(&format!("root-{}", inputs.as_str()))?;
        let root = first_that_fits(&self.origins(), |origin| {
            let root = scratch.path().join("root");
            if root.exists() {
                fs::remove_dir_all(&root)?;
            }
            self.install(origin, &root)?;
            Ok(root)
        })?;
        docker::import(self.image, &root, &inputs)
    }

    /// Where it may come from, the first before the others.
    fn origins(&self) -> Vec<Origin> {
        let later = DEBIAN_ENGINES_LATER.iter().copied();
        [(self.suite, None)]
            .into_iter()
            .chain(later.filter(|_| self.suite == DEBIAN_ENGINES))
            .collect()
    }

    /// Fails, too, when the release has another minor version of a server.
    fn install(&self, (suite, mirror): Origin, root: &Path) -> anyhow::Result<()> {
        step(
            format_args!("installing Debian {suite} for {}", self.image),
            || {
                Cmd::new("debootstrap")
                    .arg("--variant=minbase")
                    .arg(format!("--include={}", self.packages.join(",")))
                    .arg(suite)
                    .arg(root)
                    // Without one, its own.
                    .arg(mirror.unwrap_or_default())
                    // Of releases that it does not know it knows the kind.
                    .arg(format!("/usr/share/debootstrap/scripts/{}", self.suite))
                    .run()
                    .with_context(|| {
                        let log = fs::read_to_string(root.join("debootstrap/debootstrap.log"));
                        tail(&log.unwrap_or_default())
                    })?;
                for (server, wanted) in self.servers {
                    let printed = Cmd::new("chroot")
                        .arg(root)
                        .args([server, "--version"])
                        .output()?;
                    ensure!(
                        printed.contains(&format!(" v={wanted}.")),
                        "it has no {server} {wanted} any more: {printed}"
                    );
                }
                for dropped in DROPPED {
                    let dir = root.join(dropped);
                    if dir.exists() {
                        fs::remove_dir_all(&dir)?;
                        fs::create_dir(&dir)?;
                    }
                }
                Ok(())
            },
        )
    }
}

/// What comes of the first origin for which `install` succeeds.
fn first_that_fits<T>(
    origins: &[Origin],
    mut install: impl FnMut(Origin) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut refused = Vec::new();
    for &(suite, mirror) in origins {
        let name = mirror.map_or_else(|| suite.to_owned(), |at| format!("{suite} of {at}"));
        match install((suite, mirror)) {
            Ok(installed) => return Ok(installed),
            Err(error) => {
                note(format_args!("   Debian {name}: {error:#}"));
                refused.push(format!("{name}: {error:#}"));
            }
        }
    }
    bail!("no Debian release would do: {}", refused.join("; "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_release_that_has_moved_on_gives_way_to_the_next() {
        let origins = ENGINES.origins();
        let found = first_that_fits(&origins, |(suite, _)| {
            ensure!(suite != DEBIAN_ENGINES, "{suite} has moved on");
            Ok(suite)
        });
        assert_eq!(found.unwrap(), origins[1].0);
    }

    #[test]
    fn where_none_will_do_each_says_why() {
        let origins = ENGINES.origins();
        let error = first_that_fits(&origins, |(suite, _)| -> anyhow::Result<()> {
            bail!("{suite} has moved on")
        });
        let told = error.unwrap_err().to_string();
        assert_eq!(
            told.matches("has moved on").count(),
            origins.len(),
            "{told}"
        );
    }

    #[test]
    fn a_release_that_stands_still_needs_no_other() {
        assert_eq!(REDIS_STABLE.origins(), [(DEBIAN, None)]);
    }
}
