//! The project's images: one static binary each, on nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use crate::command::Cmd;
use crate::lab::{Home, Lab, docker};
use crate::progress::step;
use crate::workspace;

/// The operator and agent.
pub const OPERATOR: &str = "localhost/cachebus:dev";

/// What the end-to-end tests and the demo run as a service's pod.
pub const CLIENT: &str = "localhost/cachebus-e2e-client:dev";

/// The target whose programs can be linked statically, and then run on nothing and in any image.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// What only the lab's operator may be able to do: end at a named point.
const LAB_FEATURES: [&str; 2] = ["--features", "cachebus-operator/fault-points"];

/// A binary of the workspace and the image that holds it.
struct Image<'a> {
    name: &'a str,
    package: &'static str,
    binary: &'static str,
    /// What the image calls it.
    program: &'static str,
}

const IMAGES: [Image<'_>; 2] = [
    operator(OPERATOR),
    Image {
        name: CLIENT,
        package: "cachebus-e2e",
        binary: "cachebus-e2e-client",
        program: "cachebus-e2e-client",
    },
];

const fn operator(name: &str) -> Image<'_> {
    Image {
        name,
        package: "cachebus-operator",
        binary: "cachebus-operator",
        program: "cachebus",
    }
}

/// How much the compiler is to do about what it builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Soon built again.
    Lab,
    /// As it ships: where time and memory are measured.
    Release,
    /// As services build what they use.
    Service,
}

impl Profile {
    /// Cargo's name for it, and for the folder that it builds in.
    fn name(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Release => "release",
            Self::Service => "service",
        }
    }
}

/// Builds the lab's images and loads them into the cluster, if there is one.
pub fn build_and_load(lab: &Lab, profile: Profile) -> anyhow::Result<()> {
    build(lab.home(), &IMAGES, profile, &LAB_FEATURES)?;
    lab.load(&IMAGES.map(|image| image.name))
}

/// Builds the operator's image as it ships, under this name.
pub fn build_release(home: &Home, name: &str) -> anyhow::Result<()> {
    build(home, &[operator(name)], Profile::Release, &[])
}

fn build(
    home: &Home,
    images: &[Image<'_>],
    profile: Profile,
    features: &[&str],
) -> anyhow::Result<()> {
    let binaries: Vec<_> = images
        .iter()
        .map(|image| (image.package, image.binary))
        .collect();
    let built = step("building the static binaries", || {
        build_binaries(&binaries, profile, features)
    })?;
    for image in images {
        step(format_args!("building {}", image.name), || {
            image.build(home, &built)
        })?;
    }
    Ok(())
}

/// Builds programs of a package, linked statically; the folder that they are in then.
pub(crate) fn programs(
    package: &str,
    binaries: &[&str],
    profile: Profile,
) -> anyhow::Result<PathBuf> {
    let binaries: Vec<_> = binaries.iter().map(|binary| (package, *binary)).collect();
    build_binaries(&binaries, profile, &[])
}

fn build_binaries(
    binaries: &[(&str, &str)],
    profile: Profile,
    features: &[&str],
) -> anyhow::Result<PathBuf> {
    let mut cargo = cargo()
        .args(["build", "--quiet", "--profile", profile.name()])
        .args(["--target", STATIC_TARGET]);
    for (package, binary) in binaries {
        cargo = cargo.args(["--package", package, "--bin", binary]);
    }
    cargo
        .args(features)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .stream()?;
    Ok(target_directory()?.join(STATIC_TARGET).join(profile.name()))
}

impl Image<'_> {
    fn build(&self, home: &Home, built: &Path) -> anyhow::Result<()> {
        let Self {
            name,
            binary,
            program,
            ..
        } = self;
        let _lock = home.lock()?;
        let context = home.scratch("image")?;
        fs::copy(built.join(binary), context.path().join(program))
            .with_context(|| format!("{binary} was not built"))?;
        fs::write(
            context.path().join("Dockerfile"),
            format!(
                "FROM scratch\nCOPY {program} /{program}\nUSER 65532:65532\nENTRYPOINT [\"/{program}\"]\n"
            ),
        )?;
        docker()
            .args(["build", "--quiet", "--tag", name])
            .arg(context.path())
            .run()
    }
}

/// Cargo, in the workspace.
pub(crate) fn cargo() -> Cmd {
    Cmd::new("cargo").dir(&workspace::root())
}

/// Where Cargo puts what it builds.
pub(crate) fn target_directory() -> anyhow::Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let printed = cargo()
        .args(["metadata", "--format-version=1", "--no-deps"])
        .output()?;
    let metadata: Metadata = serde_json::from_str(&printed)?;
    Ok(metadata.target_directory)
}
