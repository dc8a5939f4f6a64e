//! One bus, as the operator would have laid it out.

use crate::certificates::{Authority, Pair};
use crate::engine;
use cachebus_api::persistence::Aof;
use cachebus_core::acl::{AclFiles, digest, files};
use cachebus_core::config;
use cachebus_core::credentials::{Credentials, INTERNAL_USERS, Password, mounted};
use cachebus_core::names::{
    ACL_DIR, AGENT_JSON, Component, DATA_DIR, Names, REDIS_ACL, REDIS_CONF, SENTINEL_ACL,
    SENTINEL_CONF, TLS_DIR,
};
use cachebus_core::protocol::AgentConfig;
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

pub const UID: &str = "6f1c";
pub const PASSWORD: &str = "0123456789abcdefghijABCDEFGHIJ01";

/// A user with all rights, for looking around.
pub const TESTER: &str = "tester";

pub struct Bus {
    pub folder: tempfile::TempDir,
    pub names: Names,
    pub config: AgentConfig,
    core: cachebus_core::bus::Bus,
    users: AclFiles,
    pub authority: Authority,
    pub operator: Pair,
}

impl Bus {
    /// A bus of a single data node, and with one Sentinel, at this host's address.
    pub fn new() -> Self {
        let engine = engine::under_test();
        let spec = serde_json::from_value(json!({
            "engine": {"kind": engine.kind, "version": engine.version},
            "port": free_port(),
            "sentinel": {"port": free_port(), "downAfter": "10m"},
            "replication": {"minReplicasToWrite": 0, "fencingWindow": "10m"},
        }))
        .unwrap();
        let names = Names::new("b", "ns", "cluster.local");
        let core = cachebus_core::bus::Bus {
            names: names.clone(),
            uid: UID.to_owned(),
            generation: 1,
            spec,
            engine,
            image: String::new(),
        };
        let authority = Authority::new();
        let bus = Self {
            folder: tempfile::tempdir().unwrap(),
            config: AgentConfig {
                sentinels: vec!["127.0.0.1".to_owned()],
                quorum: 1,
                ..config::agent_json(&core)
            },
            users: files(&core, &credentials()),
            operator: authority.issue(&[&names.operator_identity()]),
            authority,
            names,
            core,
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

    /// Has the next server keep its data in another way.
    pub fn keep(&mut self, aof: Aof) {
        self.core.spec.persistence.aof = aof;
        self.write_config();
    }

    /// Has a primary that should have this many replicas take writes for so long after it saw one, or its Sentinel.
    pub fn fence(&mut self, replicas: u32, window: Duration) {
        self.config.replicas = replicas;
        self.config.fencing_window_ms = u64::try_from(window.as_millis()).unwrap();
        self.write_config();
    }

    fn write_config(&self) {
        let core = &self.core;
        let folder = self.path("config");
        let config = serde_json::to_string(&self.config).unwrap();
        fs::write(folder.join(AGENT_JSON), config).unwrap();
        for (component, name, text) in [
            (Component::Redis, REDIS_CONF, config::redis_conf(core)),
            (
                Component::Sentinel,
                SENTINEL_CONF,
                config::sentinel_conf(core),
            ),
        ] {
            fs::write(folder.join(name), self.relocated(component, &text)).unwrap();
        }
    }

    /// The text with the folders of a pod replaced by those of this test.
    fn relocated(&self, component: Component, text: &str) -> String {
        [
            (ACL_DIR, self.path("acl")),
            (TLS_DIR, self.path("tls")),
            (DATA_DIR, self.data_dir(component)),
        ]
        .iter()
        .fold(text.to_owned(), |text, (folder, here)| {
            text.replace(&format!("\"{folder}"), &format!("\"{}", here.display()))
        })
    }

    /// The users of the data node: those of the bus, one who may do all, and `more` lines.
    pub fn users(&self, more: &str) -> String {
        format!("{}{}{more}", self.users.redis, tester())
    }

    pub fn write_users(&self, more: &str) {
        let folder = self.path("acl");
        fs::write(folder.join(REDIS_ACL), self.users(more)).unwrap();
        let sentinel = format!("{}{}", self.users.sentinel, tester());
        fs::write(folder.join(SENTINEL_ACL), sentinel).unwrap();
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

    /// Runs a command on the data node, or on the Sentinel, as one who may do all.
    async fn cli(&self, port: u16, command: &[&str]) -> String {
        let output = tokio::process::Command::new(engine::client())
            .env("REDISCLI_AUTH", PASSWORD)
            .args([
                "-p",
                &port.to_string(),
                "--user",
                TESTER,
                "--tls",
                "--cacert",
            ])
            .arg(self.path("tls").join("ca.crt"))
            .args(command)
            .output()
            .await
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs a command on the data node.
    pub async fn redis(&self, command: &[&str]) -> String {
        self.cli(self.config.port, command).await
    }

    /// Runs a command on the Sentinel.
    pub async fn sentinel(&self, command: &[&str]) -> String {
        self.cli(self.config.sentinel_port, command).await
    }
}

fn credentials() -> Credentials {
    Credentials {
        passwords: INTERNAL_USERS
            .iter()
            .map(|&user| (user.to_owned(), Password::new(PASSWORD.to_owned())))
            .collect(),
    }
}

fn tester() -> String {
    let hash = digest(PASSWORD);
    format!("user {TESTER} on #{hash} ~* &* +@all\n")
}

pub fn free_port() -> u16 {
    // Below the ports that connections take for themselves, and each only once in this process: a port that was free a moment
    // ago may be the near end of another test's connection by the time the server binds it.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 150).unwrap() * 100;
    loop {
        let port = 12_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
