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
    let ids = docker()
        .args(["image", "ls", "--quiet", "--no-trunc", "--filter"])
        .arg(format!("label={LABEL}"))
        .output()?;
    let format = format!("{{{{index .Config.Labels {LABEL:?}}}}} {{{{join .RepoTags \" \"}}}}");
    let mut removed = Vec::new();
    for id in ids.lines() {
        let described = docker()
            .args(["image", "inspect", "--format", &format, id])
            .output()?;
        let mut words = described.split_whitespace();
        let is_current = words
            .next()
            .is_some_and(|inputs| current.iter().any(|known| known.0 == inputs));
        let names: Vec<&str> = words.collect();
        let references = if names.is_empty() { vec![id] } else { names };
        // An image that a container runs from, or that another is built on, is not removed: nothing is lost by asking.
        if !is_current && docker().args(["image", "rm"]).args(&references).succeeds() {
            removed.extend(references.into_iter().map(str::to_owned));
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
