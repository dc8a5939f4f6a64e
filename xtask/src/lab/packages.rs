//! Debian packages the lab needs on the host, installed when something they bring is missing.

use std::path::Path;

use anyhow::bail;

use crate::command::{Cmd, is_on_path};
use crate::progress::step;

/// Something on the host that a step of the lab needs, and the Debian packages that bring it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    present: Present,
    packages: &'static [&'static str],
}

#[derive(Clone, Copy, Debug)]
enum Present {
    Program(&'static str),
    File(&'static str),
}

const fn program(name: &'static str, packages: &'static [&'static str]) -> Need {
    Need {
        present: Present::Program(name),
        packages,
    }
}

/// The Docker client.
pub(crate) const CLIENT: &[Need] = &[program("docker", &["docker.io"])];

/// What a Docker Engine of the lab's own runs on.
pub(crate) const ENGINE: &[Need] = &[
    program("dockerd", &["docker.io"]),
    program("containerd", &["containerd"]),
    program("runc", &["runc"]),
    program("iptables", &["iptables"]),
    program("setsid", &["util-linux"]),
    program("jq", &["jq"]),
];

/// What tests of the client for Python run on.
pub(crate) const PYTHON: &[Need] = &[program("python3", &["python3", "python3-venv"])];

/// What reaches into the cluster's network.
pub(crate) const NETWORK: &[Need] = &[program("ip", &["iproute2"])];

/// What builds images from Debian packages and the sandbox process from its source.
pub(crate) const BUILD: &[Need] = &[
    program("debootstrap", &["debootstrap"]),
    Need {
        present: Present::File("/usr/share/keyrings/debian-archive-keyring.gpg"),
        packages: &["debian-archive-keyring"],
    },
    program("gcc", &["gcc"]),
    Need {
        present: Present::File("/usr/include/stdlib.h"),
        packages: &["libc6-dev"],
    },
];

/// Installs the packages of what is missing.
pub(crate) fn ensure(needs: &[Need]) -> anyhow::Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !need.is_met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.packages)
        .copied()
        .collect();
    packages.sort_unstable();
    packages.dedup();
    let packages_line = packages.join(" ");
    if !is_on_path("apt-get") {
        bail!(
            "this machine has no apt-get: install what these Debian packages bring: {packages_line}"
        );
    }
    step(format_args!("installing {packages_line}"), || {
        Cmd::new("apt-get").args(["update", "-qq"]).run()?;
        Cmd::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .run()
    })?;
    match missing.iter().find(|need| !need.is_met()) {
        None => Ok(()),
        Some(need) => bail!(
            "{:?} is still missing after installing {packages_line}",
            need.present
        ),
    }
}

impl Need {
    fn is_met(&self) -> bool {
        match self.present {
            Present::Program(name) => is_on_path(name),
            Present::File(path) => Path::new(path).exists(),
        }
    }
}
