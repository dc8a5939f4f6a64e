//! Everything the lab is made of, pinned in one place.

/// Kubernetes as built from its Go modules.
pub const KUBERNETES: &str = "1.34.4";
/// The version of the `k8s.io/*` modules that belong to [`KUBERNETES`].
pub const KUBERNETES_STAGING: &str = "0.34.4";
/// kind.
pub const KIND: &str = "0.33.0";
/// etcd: what kubeadm of [`KUBERNETES`] asks for.
pub const ETCD: &str = "3.6.5";
/// `CoreDNS`: what kubeadm of [`KUBERNETES`] asks for.
pub const COREDNS: &str = "1.12.1";
/// The sandbox image's tag that the node's containerd is told to use.
pub const PAUSE: &str = "3.10.1";
/// The CNI plugins.
pub const CNI_PLUGINS: &str = "1.9.1";
/// The provisioner of node-local volumes, `xtask/lab/volumes`: raised whenever its source changes.
pub const VOLUMES: &str = "1";
/// The S3 server of scenarios.
pub const VERSITYGW: &str = "1.8.0";
/// Helm.
pub const HELM: &str = "3.22.0";
/// The Debian release under nodes and helper pods.
pub const DEBIAN: &str = "bookworm";
/// The Debian release that has the newer engines. It moves on: once it has others, they come from the first of
/// [`DEBIAN_ENGINES_LATER`] that has them still.
pub const DEBIAN_ENGINES: &str = "sid";
/// Releases, with their archive where it is another one than that of all: the one that follows [`DEBIAN_ENGINES`] weeks behind,
/// and that itself as it was.
pub const DEBIAN_ENGINES_LATER: &[(&str, Option<&str>)] = &[
    ("forky", None),
    (
        "sid",
        Some("http://snapshot.debian.org/archive/debian/20261030T120000Z"),
    ),
];

/// The public node image of the same Kubernetes minor version, from the release notes of [`KIND`].
pub const NODE_IMAGE: &str =
    "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d";
