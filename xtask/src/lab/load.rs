//! Local images into the nodes. The control plane runs pods as well: those that tolerate it.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::progress::step;

use super::cluster::{images_on, nodes, on_node};
use super::docker::{self, docker};
use super::home::Home;

/// Copies images into every node that does not have them yet.
pub(crate) fn load(home: &Home, images: &[&str]) -> anyhow::Result<()> {
    let ids = images
        .iter()
        .map(|image| {
            docker::image_id(image)
                .map(|id| (*image, id))
                .with_context(|| format!("Docker has no image {image}"))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut missing: Vec<&str> = Vec::new();
    let mut targets = Vec::new();
    for node in nodes()? {
        let node = node.name;
        let present = images_on(&node)?;
        let lacking: Vec<&str> = ids
            .iter()
            .filter(|(image, id)| !is_loaded(&present, image, id))
            .map(|(image, _)| *image)
            .collect();
        if !lacking.is_empty() {
            targets.push(node);
        }
        missing.extend(lacking);
    }
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    step(format_args!("loading {}", missing.join(", ")), || {
        let scratch = home.scratch("load")?;
        let archive = scratch.path().join("images.tar");
        docker()
            .args(["save", "--output"])
            .arg(&archive)
            .args(&missing)
            .run()?;
        import(&archive, targets)
    })
}

/// Imports an archive into nodes, all at once.
fn import(archive: &Path, nodes: Vec<String>) -> anyhow::Result<()> {
    let threads: Vec<_> = nodes
        .into_iter()
        .map(|node| {
            let archive = archive.to_path_buf();
            std::thread::spawn(move || {
                on_node(&node)
                    .args(["ctr", "--namespace=k8s.io", "images", "import"])
                    .args(["--digests", "--snapshotter=overlayfs", "-"])
                    .input_file(&archive)?
                    .run()
            })
        })
        .collect();
    for thread in threads {
        match thread.join() {
            Ok(imported) => imported?,
            Err(_) => bail!("loading images into a node panicked"),
        }
    }
    Ok(())
}

/// Whether the node's image of that name is the engine's image of that id.
///
/// The kubelet's view of containerd names every image a second time, by its id.
fn is_loaded(present: &[(String, String)], image: &str, id: &str) -> bool {
    let digest_of = |name: &str| {
        present
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, digest)| digest)
    };
    let Some(digest) = digest_of(&full_name(image)) else {
        return false;
    };
    digest == id || digest_of(id) == Some(digest)
}

/// The name that containerd gives an image: Docker leaves its own registry out.
fn full_name(image: &str) -> String {
    let first = image.split('/').next().unwrap_or_default();
    if !image.contains('/') {
        format!("docker.io/library/{image}")
    } else if first == "localhost" || first.contains(['.', ':']) {
        image.to_owned()
    } else {
        format!("docker.io/{image}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_containerd() {
        let cases = [
            ("localhost/cachebus:dev", "localhost/cachebus:dev"),
            ("redis:7.0-bookworm", "docker.io/library/redis:7.0-bookworm"),
            ("valkey/valkey:9.1", "docker.io/valkey/valkey:9.1"),
            ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ];
        for (docker, containerd) in cases {
            assert_eq!(full_name(docker), containerd);
        }
    }

    #[test]
    fn an_older_image_of_the_same_name_is_not_the_one() {
        let present = [
            ("localhost/cachebus:dev", "sha256:manifest-2"),
            ("sha256:id-1", "sha256:manifest-1"),
            ("sha256:id-2", "sha256:manifest-2"),
        ]
        .map(|(name, digest)| (name.to_owned(), digest.to_owned()));
        assert!(is_loaded(&present, "localhost/cachebus:dev", "sha256:id-2"));
        assert!(!is_loaded(
            &present,
            "localhost/cachebus:dev",
            "sha256:id-1"
        ));
        assert!(!is_loaded(&present, "localhost/other:dev", "sha256:id-2"));
    }
}
