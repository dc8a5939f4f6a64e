//! What the lab asks of Docker.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::command::Cmd;

/// Carries the [`Fingerprint`] of what an image of the lab was made from.
const LABEL: &str = "dev.cachebus.lab";

/// How long a healthy engine may take to say that it is there.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A short digest of everything an image is made from: other inputs, another image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(String);

impl Fingerprint {
    pub(crate) fn of<'a>(inputs: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for input in inputs {
            hash.update(input.len().to_le_bytes());
            hash.update(input);
        }
        let digest = hash.finalize();
        let mut short = String::new();
        for byte in &digest[..6] {
            let _ = write!(short, "{byte:02x}");
        }
        Self(short)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A `docker` command. The classic builder is asked for: the newer one ignores the engine's default runtime.
pub fn docker() -> Cmd {
    Cmd::new("docker").env("DOCKER_BUILDKIT", "0")
}

/// Whether an engine answers.
pub fn answers() -> bool {
    Cmd::limited("docker", ANSWER_LIMIT)
        .args(["version", "--format", "{{.Server.Version}}"])
        .succeeds()
}

/// The image's id, when the engine has it.
pub fn image_id(image: &str) -> Option<String> {
    docker()
        .args(["image", "inspect", "--format", "{{.Id}}", image])
        .output()
        .ok()
}

/// Whether the engine has the image, made from the same inputs.
pub(crate) fn has(image: &str, inputs: &Fingerprint) -> bool {
    let format = format!("{{{{index .Config.Labels {LABEL:?}}}}}");
    docker()
        .args(["image", "inspect", "--format", &format, image])
        .output()
        .is_ok_and(|label| label == inputs.0)
}

/// Builds an image from the `Dockerfile` in `context`.
pub(crate) fn build(image: &str, context: &Path, inputs: &Fingerprint) -> anyhow::Result<()> {
    docker()
        .args(["build", "--quiet", "--tag", image, "--label"])
        .arg(label(inputs))
        .arg(context)
        .run()
}

/// Makes an image of one layer from a folder.
pub(crate) fn import(image: &str, root: &Path, inputs: &Fingerprint) -> anyhow::Result<()> {
    Cmd::new("tar")
        .arg("--directory")
        .arg(root)
        .args(["--create", "."])
        .pipe_to(
            docker()
                .args(["import", "--change"])
                .arg(format!("LABEL {}", label(inputs)))
                .args(["-", image]),
        )
}

/// Removes the lab's images of other inputs than the current ones.
pub(crate) fn remove_images_but(current: &[Fingerprint]) -> anyhow::Result<Vec<String>> {
    let format = format!("{{{{.ID}}}} {{{{.Repository}}}}:{{{{.Tag}}}} {{{{.Label {LABEL:?}}}}}");
    let listed = docker()
        .args(["image", "ls", "--all", "--filter"])
        .arg(format!("label={LABEL}"))
        .args(["--format", &format])
        .output()?;
    let mut removed = Vec::new();
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let (Some(id), Some(name), Some(inputs)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let reference = if name.contains("<none>") { id } else { name };
        let is_current = current.iter().any(|known| known.0 == inputs);
        // An image that a container runs from, or that another is built on, is not removed: nothing is lost by asking.
        if !is_current && docker().args(["image", "rm", reference]).succeeds() {
            removed.push(name.to_owned());
        }
    }
    Ok(removed)
}

pub(crate) fn label(inputs: &Fingerprint) -> String {
    format!("{LABEL}={}", inputs.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_inputs_apart() {
        assert_eq!(Fingerprint::of(["a", "b"]), Fingerprint::of(["a", "b"]));
        assert_ne!(Fingerprint::of(["a", "b"]), Fingerprint::of(["ab"]));
        assert_ne!(Fingerprint::of(["a", "b"]), Fingerprint::of(["b", "a"]));
    }
}
