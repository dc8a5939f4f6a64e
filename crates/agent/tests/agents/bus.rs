//! One bus, as the operator would have laid it out.

use crate::certificates::{Authority, Pair};
use cachebus_api::engine::EngineKind;
use cachebus_core::acl::digest;
use cachebus_core::credentials::mounted;
use cachebus_core::names::{
    AGENT_JSON, Component, Names, REDIS_ACL, REDIS_CONF, SENTINEL_ACL, SENTINEL_CONF, master_name,
};
use cachebus_core::protocol::{AgentConfig, MonitorSettings};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

pub const UID: &str = "6f1c";
pub const PASSWORD: &str = "0123456789abcdefghijABCDEFGHIJ01";

pub struct Bus {
    pub folder: tempfile::TempDir,
    pub names: Names,
    pub config: AgentConfig,
    pub authority: Authority,
    pub operator: Pair,
}

impl Bus {
    /// A bus with one Sentinel at this host's address.
    pub fn new() -> Self {
        let names = Names::new("b", "ns", "cluster.local");
        let authority = Authority::new();
        let bus = Self {
            folder: tempfile::tempdir().unwrap(),
            config: AgentConfig {
                bus: "b".to_owned(),
                namespace: "ns".to_owned(),
                domain: "cluster.local".to_owned(),
                uid: UID.to_owned(),
                master_name: master_name("b", UID),
                engine: EngineKind::Redis,
                port: free_port(),
                sentinel_port: free_port(),
                tls: true,
                sentinels: vec!["127.0.0.1".to_owned()],
                quorum: 1,
                replica_priority: 100,
                monitor: MonitorSettings {
                    down_after_ms: 600_000,
                    failover_timeout_ms: 60_000,
                    parallel_syncs: 1,
                },
            },
            operator: authority.issue(&[&names.operator_identity()]),
            authority,
            names,
        };
        bus.write_config();
        bus.write_users("");
        bus.write_passwords();
        bus.write_certificate();
        bus
    }

    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub fn data_dir(&self, component: Component) -> PathBuf {
        self.path(&format!("{component}-data"))
    }

    fn write_config(&self) {
        let folder = self.path("config");
        let config = serde_json::to_string(&self.config).unwrap();
        fs::write(folder.join(AGENT_JSON), config).unwrap();
        let redis = self.directives(Component::Redis) + "appendonly yes\n";
        fs::write(folder.join(REDIS_CONF), redis).unwrap();
        let sentinel = self.directives(Component::Sentinel)
            + "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n";
        fs::write(folder.join(SENTINEL_CONF), sentinel).unwrap();
    }

    fn directives(&self, component: Component) -> String {
        let (port, acl) = match component {
            Component::Redis => (self.config.port, REDIS_ACL),
            Component::Sentinel => (self.config.sentinel_port, SENTINEL_ACL),
        };
        let tls = self.path("tls");
        let file = |name: &str| tls.join(name).display().to_string();
        [
            "bind 127.0.0.1".to_owned(),
            "port 0".to_owned(),
            format!("tls-port {port}"),
            "tls-replication yes".to_owned(),
            "tls-auth-clients optional".to_owned(),
            format!("tls-ca-cert-file {}", file("ca.crt")),
            format!("tls-cert-file {}", file("tls.crt")),
            format!("tls-key-file {}", file("tls.key")),
            format!("dir {}", self.data_dir(component).display()),
            format!("aclfile {}", self.path("acl").join(acl).display()),
            String::new(),
        ]
        .join("\n")
    }

    /// The internal users, and `more` lines.
    pub fn users(more: &str) -> String {
        let hash = digest(PASSWORD);
        format!(
            "user default off resetpass ~* &* +@all\n\
             user operator on #{hash} ~* &* +@all\n\
             user replication on #{hash} -@all +psync +replconf +ping\n\
             user sentinel on #{hash} ~* &* +@all\n\
             user probe on #{hash} -@all +ping +info +role\n{more}"
        )
    }

    pub fn write_users(&self, more: &str) {
        let folder = self.path("acl");
        fs::write(folder.join(REDIS_ACL), Self::users(more)).unwrap();
        fs::write(folder.join(SENTINEL_ACL), Self::users(more)).unwrap();
    }

    fn write_passwords(&self) {
        let folder = self.path("auth");
        for component in [Component::Redis, Component::Sentinel] {
            for user in mounted(component) {
                fs::write(folder.join(user), PASSWORD).unwrap();
            }
        }
    }

    /// A new serving certificate for the pods 0 of both components.
    pub fn write_certificate(&self) {
        let fqdn = |component| {
            self.names
                .pod_fqdn(component, &self.names.pod(component, 0))
        };
        let pair = self.authority.issue(&[
            &fqdn(Component::Redis),
            &fqdn(Component::Sentinel),
            "127.0.0.1",
        ]);
        let folder = self.path("tls");
        fs::write(folder.join("ca.crt"), self.authority.pem()).unwrap();
        fs::write(folder.join("tls.crt"), pair.certificate).unwrap();
        fs::write(folder.join("tls.key"), pair.key).unwrap();
    }

    /// Runs a command on the data node, or on the Sentinel, as `user`.
    pub async fn cli(&self, port: u16, user: &str, command: &[&str]) -> String {
        let output = tokio::process::Command::new("redis-cli")
            .env("REDISCLI_AUTH", PASSWORD)
            .args(["-p", &port.to_string(), "--user", user, "--tls", "--cacert"])
            .arg(self.path("tls").join("ca.crt"))
            .args(command)
            .output()
            .await
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs a command on the data node as its operator.
    pub async fn redis(&self, command: &[&str]) -> String {
        self.cli(self.config.port, "operator", command).await
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
