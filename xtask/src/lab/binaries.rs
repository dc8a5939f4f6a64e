//! Programs built from their Go modules, each kept under its version.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::command::{Cmd, find_on_path, is_on_path};
use crate::progress::step;

use super::home::Home;
use super::source::Source;
use super::versions::{
    CNI_PLUGINS, COREDNS, ETCD, HELM, KIND, KUBERNETES, KUBERNETES_STAGING, VERSITYGW, VOLUMES,
};

/// The module of the provisioner of node-local volumes.
const VOLUMES_SOURCE: &[(&str, &str)] = &[
    ("go.mod", include_str!("../../lab/volumes/go.mod")),
    ("go.sum", include_str!("../../lab/volumes/go.sum")),
    ("main.go", include_str!("../../lab/volumes/main.go")),
];

/// A program of the lab.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    package: &'static str,
    origin: Origin,
    used_with: Use,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Any module of that version that holds the package.
    Module,
    /// `k8s.io/kubernetes`, whose staging modules have to be named one by one.
    Kubernetes,
    /// A module of the lab's own: its files.
    Own(&'static [(&'static str, &'static str)]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// On the host, whatever the nodes come from.
    Host,
    /// In nodes that are built here.
    Node,
    /// In the image of a scenario.
    Scenario,
}

/// Everything the lab builds, in the order it is built.
pub(crate) const PROGRAMS: &[Program] = &[
    module("kind", KIND, "sigs.k8s.io/kind", Use::Host),
    module("helm", HELM, "helm.sh/helm/v3/cmd/helm", Use::Host),
    kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl", Use::Host),
    kubernetes(
        "kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        Use::Node,
    ),
    kubernetes(
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        Use::Node,
    ),
    kubernetes(
        "kube-scheduler",
        "k8s.io/kubernetes/cmd/kube-scheduler",
        Use::Node,
    ),
    kubernetes("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", Use::Node),
    kubernetes("kubelet", "k8s.io/kubernetes/cmd/kubelet", Use::Node),
    kubernetes("kubeadm", "k8s.io/kubernetes/cmd/kubeadm", Use::Node),
    module("etcd", ETCD, "go.etcd.io/etcd/server/v3", Use::Node),
    module("coredns", COREDNS, "github.com/coredns/coredns", Use::Node),
    plugin(
        "host-local",
        "github.com/containernetworking/plugins/plugins/ipam/host-local",
    ),
    plugin(
        "loopback",
        "github.com/containernetworking/plugins/plugins/main/loopback",
    ),
    plugin(
        "ptp",
        "github.com/containernetworking/plugins/plugins/main/ptp",
    ),
    plugin(
        "portmap",
        "github.com/containernetworking/plugins/plugins/meta/portmap",
    ),
    Program {
        name: "volumes",
        version: VOLUMES,
        package: ".",
        origin: Origin::Own(VOLUMES_SOURCE),
        used_with: Use::Node,
    },
    module(
        "versitygw",
        VERSITYGW,
        "github.com/versity/versitygw/cmd/versitygw",
        Use::Scenario,
    ),
];

const fn module(
    name: &'static str,
    version: &'static str,
    package: &'static str,
    used_with: Use,
) -> Program {
    Program {
        name,
        version,
        package,
        origin: Origin::Module,
        used_with,
    }
}

const fn plugin(name: &'static str, package: &'static str) -> Program {
    module(name, CNI_PLUGINS, package, Use::Node)
}

const fn kubernetes(name: &'static str, package: &'static str, used_with: Use) -> Program {
    Program {
        name,
        version: KUBERNETES,
        package,
        origin: Origin::Kubernetes,
        used_with,
    }
}

/// The programs that `source` needs.
pub(crate) fn needed(source: Source) -> impl Iterator<Item = &'static Program> {
    PROGRAMS
        .iter()
        .filter(move |program| match program.used_with {
            Use::Host => true,
            Use::Node => source == Source::Packages,
            Use::Scenario => false,
        })
}

/// Builds what is missing and puts the current versions into the lab's `bin` folder.
pub(crate) fn ensure(home: &Home, source: Source) -> anyhow::Result<()> {
    needed(source).try_for_each(|program| program.ensure(home))
}

/// The same for one program.
pub(crate) fn ensure_one(home: &Home, name: &str) -> anyhow::Result<()> {
    let Some(program) = PROGRAMS.iter().find(|program| program.name == name) else {
        bail!("the lab has no program {name}");
    };
    program.ensure(home)
}

impl Program {
    /// Where the built program is kept.
    pub(crate) fn stored(&self, home: &Home) -> PathBuf {
        home.store().join(self.file_name())
    }

    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    fn ensure(&self, home: &Home) -> anyhow::Result<()> {
        let stored = self.stored(home);
        let place = home.bin().join(self.name);
        if !stored.exists() {
            if let Some(installed) = self.installed() {
                return link(&installed, &place);
            }
            if !is_on_path("go") {
                bail!(
                    "{} {} has to be built, and Go is not installed",
                    self.name,
                    self.version
                );
            }
            step(
                format_args!("building {} {}", self.name, self.version),
                || self.build(home, &stored),
            )?;
        }
        link(&stored, &place)
    }

    /// The same version where the machine's owner has installed it.
    fn installed(&self) -> Option<PathBuf> {
        let arguments: &[&str] = match self.name {
            "kind" => &["version"],
            "helm" => &["version", "--short"],
            "kubectl" => &["version", "--client"],
            _ => return None,
        };
        let path = find_on_path(self.name)?;
        let printed = Cmd::new(&path).args(arguments).output().ok()?;
        let wanted = format!("v{}", self.version);
        printed
            .split(|c: char| c.is_whitespace() || c == '+')
            .any(|word| word == wanted)
            .then_some(path)
    }

    fn build(&self, home: &Home, target: &Path) -> anyhow::Result<()> {
        let (module, flags) = match self.origin {
            Origin::Module => (self.prepare_module(home)?, String::new()),
            Origin::Kubernetes => (prepare_kubernetes(home)?, version_flags()),
            Origin::Own(files) => (self.prepare_own(home, files)?, String::new()),
        };
        // A half-written program never bears the final name.
        let partial = partial(target);
        go(&module)
            .args(["build", "-trimpath", "-buildvcs=false", "-ldflags"])
            .arg(format!("-s -w {flags}"))
            .arg("-o")
            .arg(&partial)
            .arg(self.package)
            .run()?;
        fs::rename(&partial, target).with_context(|| format!("cannot keep {}", target.display()))
    }

    fn prepare_module(&self, home: &Home) -> anyhow::Result<PathBuf> {
        let dir = fresh(&home.module(self.name))?;
        go(&dir)
            .args(["mod", "init"])
            .arg(format!("build/{}", self.name))
            .run()?;
        go(&dir)
            .args(["get", "-tool"])
            .arg(format!("{}@v{}", self.package, self.version))
            .run()?;
        Ok(dir)
    }

    fn prepare_own(&self, home: &Home, files: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
        let dir = fresh(&home.module(self.name))?;
        for (name, text) in files {
            fs::write(dir.join(name), text)?;
        }
        Ok(dir)
    }
}

/// What `go mod download -json` says of a module.
#[derive(Debug, Deserialize)]
struct Downloaded {
    #[serde(rename = "Dir")]
    dir: PathBuf,
}

/// The source folder of a module.
pub(crate) fn module_source(home: &Home, module: &str) -> anyhow::Result<PathBuf> {
    let printed = go(home.root())
        .args(["mod", "download", "-json", module])
        .output()?;
    let downloaded: Downloaded = serde_json::from_str(&printed)
        .with_context(|| format!("`go mod download` printed no folder for {module}"))?;
    Ok(downloaded.dir)
}

/// A module that requires Kubernetes with the staging modules of the same release.
fn prepare_kubernetes(home: &Home) -> anyhow::Result<PathBuf> {
    let dir = home.module("kubernetes");
    let prepared = dir.join(format!("prepared-{KUBERNETES}"));
    if prepared.exists() {
        return Ok(dir);
    }
    fresh(&dir)?;
    let source = module_source(home, &format!("k8s.io/kubernetes@v{KUBERNETES}"))?;
    let theirs = fs::read_to_string(source.join("go.mod"))?;
    fs::write(dir.join("go.mod"), kubernetes_module(&theirs))?;
    fs::write(dir.join("tools.go"), kubernetes_tools())?;
    go(&dir).args(["mod", "tidy"]).run()?;
    fs::write(prepared, "")?;
    Ok(dir)
}

/// The `go.mod` that builds Kubernetes as a dependency, out of Kubernetes' own.
///
/// Kubernetes replaces its staging modules by folders, and a replacement counts in the main module only.
fn kubernetes_module(theirs: &str) -> String {
    let staging = theirs
        .lines()
        .filter_map(|line| line.split_once(" => ./staging/"))
        .filter_map(|(module, _)| module.split_whitespace().last());
    let mut text = format!(
        "module build/kubernetes\n\ngo 1.24\n\nrequire k8s.io/kubernetes v{KUBERNETES}\n\n"
    );
    for module in staging {
        let _ = writeln!(text, "replace {module} => {module} v{KUBERNETES_STAGING}");
    }
    text
}

/// Imports that keep `go mod tidy` from dropping what the commands need.
fn kubernetes_tools() -> String {
    let imports = PROGRAMS
        .iter()
        .filter(|program| program.origin == Origin::Kubernetes)
        .map(|program| format!("\t_ {:?}", program.package))
        .collect::<Vec<_>>()
        .join("\n");
    format!("//go:build tools\n\npackage tools\n\nimport (\n{imports}\n)\n")
}

/// Kubernetes refuses to work with parts that do not know their version.
fn version_flags() -> String {
    let minor = KUBERNETES.split('.').nth(1).unwrap_or_default();
    ["k8s.io/client-go/pkg", "k8s.io/component-base"]
        .map(|package| {
            let version = format!("{package}/version");
            format!(
                "-X {version}.gitVersion=v{KUBERNETES} -X {version}.gitMajor=1 -X {version}.gitMinor={minor}"
            )
        })
        .join(" ")
}

fn go(dir: &Path) -> Cmd {
    Cmd::new("go")
        .dir(dir)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env("GOFLAGS", "-mod=mod")
}

fn fresh(dir: &Path) -> anyhow::Result<PathBuf> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir.to_path_buf())
}

/// The name of a file that is not finished.
fn partial(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!("{name}.partial"))
}

/// Points `link` at `stored`, without a moment at which it is missing.
fn link(stored: &Path, link: &Path) -> anyhow::Result<()> {
    if fs::read_link(link).is_ok_and(|current| current == stored) {
        return Ok(());
    }
    let partial = partial(link);
    let _ = fs::remove_file(&partial);
    symlink(stored, &partial)
        .and_then(|()| fs::rename(&partial, link))
        .with_context(|| format!("cannot link {}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staging_modules_are_replaced_by_their_releases() {
        let theirs = "module k8s.io/kubernetes\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n\
                      replace k8s.io/kubelet => ./staging/src/k8s.io/kubelet\nreplace a.b/c => a.b/d v1.0.0\n";
        let ours = kubernetes_module(theirs);
        assert!(
            ours.contains("replace k8s.io/api => k8s.io/api v0.34.4\n"),
            "{ours}"
        );
        assert!(
            ours.contains("replace k8s.io/kubelet => k8s.io/kubelet v0.34.4\n"),
            "{ours}"
        );
        assert!(!ours.contains("a.b/c"), "{ours}");
    }

    #[test]
    fn every_program_is_linked_under_a_name_of_its_own() {
        let mut names: Vec<_> = PROGRAMS.iter().map(|program| program.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PROGRAMS.len());
    }
}
