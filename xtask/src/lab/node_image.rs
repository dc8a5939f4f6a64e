//! The node image: Debian, systemd, containerd, kind's own node files, and Kubernetes with its images inside.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::command::Cmd;
use crate::progress::step;

use super::binaries::{self, PROGRAMS};
use super::docker::{self, Fingerprint, docker};
use super::engine::RUNC_BOUNDED;
use super::home::{Home, Scratch};
use super::roots::{HELPER, NODE};
use super::versions::{COREDNS, ETCD, KIND, KUBERNETES, PAUSE};

const DOCKERFILE: &str = include_str!("../../lab/node.Dockerfile");
const STORAGE: &str = include_str!("../../lab/storage.yaml");
const PAUSE_SOURCE: &str = include_str!("../../lab/pause.c");

/// Puts a saved set of images into the containerd store of the container it runs in.
const IMPORT: &str = include_str!("../../lab/import-images.sh");

/// The container that becomes the node image.
const BUILDER: &str = "cachebus-lab-node-build";
const BASE: &str = "localhost/cachebus-lab/node-base:build";
const VOLUMES_IMAGE: &str = "localhost/lab-volumes:dev";

/// The node image's name.
pub(crate) fn name() -> String {
    format!("localhost/cachebus-lab/node:v{KUBERNETES}")
}

/// What the node image is made from.
pub(crate) fn inputs() -> Fingerprint {
    let programs: Vec<String> = PROGRAMS.iter().map(binaries::Program::file_name).collect();
    let (node, helper) = (NODE.inputs(), HELPER.inputs());
    let texts = [
        DOCKERFILE,
        STORAGE,
        PAUSE_SOURCE,
        RUNC_BOUNDED,
        IMPORT,
        PAUSE,
        node.as_str(),
        helper.as_str(),
    ];
    Fingerprint::of(texts.into_iter().chain(programs.iter().map(String::as_str)))
}

/// Builds the node image unless it is there.
pub(crate) fn ensure(home: &Home) -> anyhow::Result<()> {
    let inputs = inputs();
    if docker::has(&name(), &inputs) {
        return Ok(());
    }
    NODE.ensure(home)?;
    HELPER.ensure(home)?;
    step(format_args!("building {}", name()), || {
        let mut inside = control_plane_images(home)?;
        build_base(home)?;
        inside.push(HELPER.image.to_owned());
        let scratch = home.scratch("node-images")?;
        let archive = scratch.path().join("images.tar");
        docker()
            .args(["save", "--output"])
            .arg(&archive)
            .args(&inside)
            .run()?;
        commit(&archive, &inputs)?;
        // They live on inside the node image; outside they would pass for the real ones.
        inside.pop();
        docker().args(["image", "rm", BASE]).args(inside).run()
    })
}

/// Builds the images that a node starts Kubernetes from, under the names kubeadm asks for.
fn control_plane_images(home: &Home) -> anyhow::Result<Vec<String>> {
    let registry = "registry.k8s.io";
    let mut images = Vec::new();
    for program in [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ] {
        images.push((format!("{registry}/{program}:v{KUBERNETES}"), program, ""));
    }
    images.push((format!("{registry}/etcd:{ETCD}-0"), "etcd", ""));
    let coredns = "ENTRYPOINT [\"coredns\"]\n";
    images.push((
        format!("{registry}/coredns/coredns:v{COREDNS}"),
        "coredns",
        coredns,
    ));
    images.push((VOLUMES_IMAGE.to_owned(), "volumes", ""));
    for (image, program, rest) in &images {
        let context = context(home, &[program])?;
        build(
            image,
            &context,
            &format!("FROM scratch\n{}{rest}", copy(program)),
        )?;
    }
    let proxy = format!("{registry}/kube-proxy:v{KUBERNETES}");
    let context = context(home, &["kube-proxy"])?;
    // kube-proxy runs iptables, so its image is a whole Debian.
    build(
        &proxy,
        &context,
        &format!("FROM {}\n{}", NODE.image, copy("kube-proxy")),
    )?;
    let pause = format!("{registry}/pause:{PAUSE}");
    build_pause(home, &pause)?;
    let mut names: Vec<String> = images.into_iter().map(|(image, ..)| image).collect();
    names.extend([proxy, pause]);
    Ok(names)
}

fn build_pause(home: &Home, image: &str) -> anyhow::Result<()> {
    let context = home.scratch("pause")?;
    let source = context.path().join("pause.c");
    fs::write(&source, PAUSE_SOURCE)?;
    Cmd::new("gcc")
        .args(["-Os", "-static", "-o"])
        .arg(context.path().join("pause"))
        .arg(&source)
        .run()?;
    let dockerfile = format!("FROM scratch\n{}ENTRYPOINT [\"pause\"]\n", copy("pause"));
    build(image, &context, &dockerfile)
}

/// Builds the node without the images that go into its containerd.
fn build_base(home: &Home) -> anyhow::Result<()> {
    let context = home.scratch("node-base")?;
    let dir = context.path();
    let kind = binaries::module_source(home, &format!("sigs.k8s.io/kind@v{KIND}"))?;
    Cmd::new("cp")
        .args(["--recursive", "--no-preserve=mode"])
        .arg(kind.join("images/base/files"))
        .arg(dir.join("kind-files"))
        .run()?;
    fs::create_dir(dir.join("bin"))?;
    for program in [
        "kubelet",
        "kubeadm",
        "kubectl",
        "host-local",
        "loopback",
        "ptp",
        "portmap",
    ] {
        fs::copy(home.bin().join(program), dir.join("bin").join(program))?;
    }
    fs::write(dir.join("runc-bounded"), RUNC_BOUNDED)?;
    fs::write(dir.join("storage.yaml"), STORAGE)?;
    fs::write(dir.join("version"), format!("v{KUBERNETES}\n"))?;
    build(BASE, &context, DOCKERFILE)
}

/// Runs the base, fills its containerd, and keeps the result.
fn commit(archive: &Path, inputs: &Fingerprint) -> anyhow::Result<()> {
    let remove = || docker().args(["rm", "--force", "--volumes", BUILDER]);
    let _ = remove().run();
    docker()
        .args(["run", "--detach", "--name", BUILDER, "--privileged"])
        .args(["--entrypoint", "sleep", "--volume"])
        .arg(format!("{}:/images.tar:ro", archive.display()))
        .args([BASE, "infinity"])
        .run()?;
    let filled = docker()
        .args(["exec", "--interactive", BUILDER, "sh", "-eu"])
        .input(IMPORT)
        .run()
        .context("the node's images could not be put into its containerd");
    let kept = filled.and_then(|()| {
        docker()
            .args(["commit", "--change"])
            .arg("ENTRYPOINT [\"/usr/local/bin/entrypoint\", \"/sbin/init\"]")
            .arg("--change")
            .arg(format!("LABEL {}", docker::label(inputs)))
            .args([BUILDER, &name()])
            .run()
    });
    remove().run().and(kept)
}

fn context(home: &Home, programs: &[&str]) -> anyhow::Result<Scratch> {
    let context = home.scratch("image")?;
    for program in programs {
        fs::copy(home.bin().join(program), context.path().join(program))
            .with_context(|| format!("{program} is not built"))?;
    }
    Ok(context)
}

fn copy(program: &str) -> String {
    format!(
        "COPY {program} /usr/local/bin/{program}\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )
}

fn build(image: &str, context: &Scratch, dockerfile: &str) -> anyhow::Result<()> {
    fs::write(context.path().join("Dockerfile"), dockerfile)?;
    docker::build(image, context.path(), &inputs())
}
