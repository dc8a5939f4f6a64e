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

/// A binary of the workspace and the image that holds it.
struct Image {
    name: &'static str,
    package: &'static str,
    binary: &'static str,
}

const IMAGES: [Image; 2] = [
    Image {
        name: OPERATOR,
        package: "cachebus-operator",
        binary: "cachebus",
    },
    Image {
        name: CLIENT,
        package: "cachebus-e2e",
        binary: "cachebus-e2e-client",
    },
];

/// Builds the images and loads them into the cluster, if there is one.
pub fn build_and_load(lab: &Lab) -> anyhow::Result<()> {
    step("building the static binaries", build_binaries)?;
    let built = target_directory()?.join(STATIC_TARGET).join("release");
    for image in &IMAGES {
        step(format_args!("building {}", image.name), || {
            image.build(lab.home(), &built)
        })?;
    }
    lab.load(&IMAGES.map(|image| image.name))
}

fn build_binaries() -> anyhow::Result<()> {
    let mut cargo = cargo().args(["build", "--quiet", "--release", "--target", STATIC_TARGET]);
    for image in &IMAGES {
        cargo = cargo.args(["--package", image.package, "--bin", image.binary]);
    }
    cargo
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .stream()
}

impl Image {
    fn build(&self, home: &Home, built: &Path) -> anyhow::Result<()> {
        let Self { name, binary, .. } = self;
        let _lock = home.lock()?;
        let context = home.scratch("image")?;
        fs::copy(built.join(binary), context.path().join(binary))
            .with_context(|| format!("{binary} was not built"))?;
        fs::write(
            context.path().join("Dockerfile"),
            format!(
                "FROM scratch\nCOPY {binary} /{binary}\nUSER 65532:65532\nENTRYPOINT [\"/{binary}\"]\n"
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
