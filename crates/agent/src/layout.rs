//! Where the agent finds and puts things.

use cachebus_core::names;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Folders and addresses of one agent: those of [`cachebus_core::names`] in a pod, others in tests.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The data volume.
    pub data_dir: PathBuf,
    /// Rendered configuration, in memory.
    pub run_dir: PathBuf,
    /// The mounted `ConfigMap`.
    pub config_dir: PathBuf,
    /// The mounted ACL Secret.
    pub acl_dir: PathBuf,
    /// The mounted internal passwords.
    pub auth_dir: PathBuf,
    /// The mounted serving certificate.
    pub tls_dir: PathBuf,
    /// Where the server looks names up before it asks DNS.
    pub hosts: PathBuf,
    /// Where probes and metrics are served. The unspecified IPv6 address stands for all addresses of both families.
    pub http: SocketAddr,
    /// Where the operator is served, likewise.
    pub api: SocketAddr,
    /// Address at which the agent reaches its own server.
    pub server_host: String,
}

impl Layout {
    /// The layout of a pod.
    #[must_use]
    pub fn of_pod() -> Self {
        let everywhere = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        Self {
            data_dir: names::DATA_DIR.into(),
            run_dir: names::RUN_DIR.into(),
            config_dir: names::CONFIG_DIR.into(),
            acl_dir: names::ACL_DIR.into(),
            auth_dir: names::AUTH_DIR.into(),
            tls_dir: names::TLS_DIR.into(),
            hosts: names::ETC_HOSTS.into(),
            http: everywhere(names::HTTP_PORT),
            api: everywhere(names::API_PORT),
            server_host: "127.0.0.1".to_owned(),
        }
    }
}
