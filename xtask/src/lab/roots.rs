//! Images made of a minimal Debian and some of its packages.

use std::fs;

use anyhow::Context as _;

use crate::command::{Cmd, tail};
use crate::progress::step;

use super::docker::{self, Fingerprint};
use super::home::Home;
use super::versions::{DEBIAN, DEBIAN_ENGINES};

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
}

/// For the pods that make and remove volumes.
pub(crate) const HELPER: Root = Root {
    image: "localhost/debian:bookworm",
    suite: DEBIAN,
    packages: &["ca-certificates"],
};

/// Redis as of the stable release.
pub(crate) const REDIS_STABLE: Root = Root {
    image: "localhost/cachebus-lab/redis-stable:bookworm",
    suite: DEBIAN,
    packages: &["redis-server", "redis-tools", "ca-certificates"],
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
};

/// The stock client in another language than the project's.
pub(crate) const PYTHON: Root = Root {
    image: "localhost/cachebus-e2e-python:dev",
    suite: DEBIAN,
    packages: &["python3-minimal", "python3-redis", "ca-certificates"],
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
        step(
            format_args!("installing Debian {} for {}", self.suite, self.image),
            || {
                let scratch = home.scratch(&format!("root-{}", inputs.as_str()))?;
                let root = scratch.path().join("root");
                Cmd::new("debootstrap")
                    .arg("--variant=minbase")
                    .arg(format!("--include={}", self.packages.join(",")))
                    .arg(self.suite)
                    .arg(&root)
                    .run()
                    .with_context(|| {
                        let log = fs::read_to_string(root.join("debootstrap/debootstrap.log"));
                        tail(&log.unwrap_or_default())
                    })?;
                for dropped in DROPPED {
                    let dir = root.join(dropped);
                    if dir.exists() {
                        fs::remove_dir_all(&dir)?;
                        fs::create_dir(&dir)?;
                    }
                }
                docker::import(self.image, &root, &inputs)
            },
        )
    }
}
