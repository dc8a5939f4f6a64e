//! One bus, as the operator would have laid it out.

use crate::certificates::{Authority, Pair};
use crate::engine;
use cachebus_api::persistence::Aof;
use cachebus_core::acl::{AclFiles, digest, files};
use cachebus_core::config;
use cachebus_core::credentials::{Credentials, INTERNAL_USERS, OPERATOR, Password, mounted};
use cachebus_core::names::{
    ACL_DIR, AGENT_JSON, Component, DATA_DIR, Names, REDIS_ACL, REDIS_CONF, SENTINEL_ACL,
    SENTINEL_CONF, TLS_DIR,
};
use cachebus_core::protocol::{AgentConfig, DurableChannels, DurableEvents, Subscriber};
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::process::Command;

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
    /// Number of the network in which each pod has an address of its own; `None`: all share this host's.
    network: Option<u8>,
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
        let core = core("ns", spec);
        let config = AgentConfig {
            sentinels: vec!["127.0.0.1".to_owned()],
            quorum: 1,
            ..config::agent_json(&core)
        };
        Self::laid_out(core, config, None)
    }

    /// A bus of three data nodes and three Sentinels, which reach one another by their names.
    pub fn whole(network: u8) -> Self {
        Self::whole_that_needs(1, network)
    }

    /// The same, with a primary that takes no writes without so many replicas.
    pub fn whole_that_needs(replicas: u32, network: u8) -> Self {
        let engine = engine::under_test();
        let spec = serde_json::from_value(json!({
            "engine": {"kind": engine.kind, "version": engine.version},
            "port": free_port(),
            "replicas": 2,
            "replication": {"minReplicasToWrite": replicas},
            "sentinel": {"port": free_port(), "downAfter": "5s"},
        }))
        .unwrap();
        let core = core(&format!("n{network}"), spec);
        let config = config::agent_json(&core);
        Self::laid_out(core, config, Some(network))
    }

    fn laid_out(core: cachebus_core::bus::Bus, config: AgentConfig, network: Option<u8>) -> Self {
        let names = core.names.clone();
        let authority = Authority::new();
        let bus = Self {
            folder: tempfile::tempdir().unwrap(),
            config,
            network,
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
        self.data_dir_of(component, 0)
    }

    pub fn data_dir_of(&self, component: Component, ordinal: u32) -> PathBuf {
        self.path(&format!("{component}-data-{ordinal}"))
    }

    /// The folder of a pod's mounted configuration.
    pub fn config_dir(&self, ordinal: u32) -> PathBuf {
        self.path(&format!("config-{ordinal}"))
    }

    /// Where a pod listens.
    pub fn address(&self, component: Component, ordinal: u32) -> String {
        let hosts = match component {
            Component::Redis => 10,
            Component::Sentinel => 20,
        };
        match self.network {
            Some(network) => format!("127.1.{network}.{}", hosts + ordinal),
            None => "127.0.0.1".to_owned(),
        }
    }

    /// Has the next server keep its data in another way.
    pub fn keep(&mut self, aof: Aof) {
        self.core.spec.persistence.aof = aof;
        self.write_config();
    }

    /// Has a primary that should have this many replicas and lacks one take writes for so long after its Sentinel last answered.
    pub fn fence(&mut self, replicas: u32, window: Duration) {
        self.config.replicas = replicas;
        self.config.fencing_window_ms = u64::try_from(window.as_millis()).unwrap();
        self.write_config();
    }

    /// Has the bus keep durable events, and these services subscribe to them.
    pub fn keep_events(&mut self, retention: Duration, services: &[&str], forget_after: Duration) {
        let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap();
        self.config.events = DurableEvents {
            channels: vec![DurableChannels {
                name: "task".to_owned(),
                events: vec!["created".to_owned(), "done".to_owned()],
                retention_ms: milliseconds(retention),
            }],
            subscribers: services
                .iter()
                .map(|&service| Subscriber {
                    service: service.to_owned(),
                    subscribe: vec!["task".to_owned()],
                })
                .collect(),
            forget_after_ms: milliseconds(forget_after),
        };
        self.write_config();
    }

    /// Has the contract declare these keyspaces, each a name and a template, the last of them for locks.
    pub fn keep_cache(&mut self, keyspaces: &[(&str, &str)]) {
        let (locks, caches) = keyspaces.split_last().unwrap();
        let keyspace = |(name, key): &(&str, &str), kind: &str| json!({"name": name, "key": key, "ttl": "1h", "kind": kind});
        let caches = caches.iter().map(|it| keyspace(it, "Cache"));
        let all: Vec<_> = caches.chain([keyspace(locks, "Lock")]).collect();
        self.core.spec.cache = serde_json::from_value(json!({"keyspaces": all})).unwrap();
        self.users = files(&self.core, &credentials());
        self.config.keyspaces = config::agent_json(&self.core).keyspaces;
        self.write_config();
        self.write_users("");
    }

    fn write_config(&self) {
        for ordinal in 0..=self.config.replicas {
            self.write_config_of(ordinal);
        }
    }

    fn write_config_of(&self, ordinal: u32) {
        let core = &self.core;
        let folder = self.config_dir(ordinal);
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
            let text = self.relocated(component, ordinal, &text);
            fs::write(folder.join(name), text).unwrap();
        }
    }

    /// The text with the folders of a pod replaced by those of this test, and with its address.
    fn relocated(&self, component: Component, ordinal: u32, text: &str) -> String {
        let text = match self.network {
            Some(_) => text.replace("* -::*", &self.address(component, ordinal)),
            None => text.to_owned(),
        };
        [
            (ACL_DIR, self.path("acl")),
            (TLS_DIR, self.path("tls")),
            (DATA_DIR, self.data_dir_of(component, ordinal)),
        ]
        .iter()
        .fold(text, |text, (folder, here)| {
            text.replace(&format!("\"{folder}"), &format!("\"{}", here.display()))
        })
    }

    /// The users of the data node: those of the bus, one who may do all, and `more` lines.
    pub fn users(&self, more: &str) -> String {
        format!("{}{}{more}", self.users.redis, tester())
    }

    pub fn write_users(&self, more: &str) {
        fs::write(self.path("acl").join(REDIS_ACL), self.users(more)).unwrap();
        self.write_sentinel_users(&self.users.sentinel);
    }

    /// Has Sentinels take no announcement: whoever publishes one may not.
    pub fn refuse_announcements(&self) {
        let refusing = self.users.sentinel.lines().map(|user| {
            let agents = user.starts_with(&format!("user {OPERATOR} "));
            let publishes = if agents { " +publish" } else { "" };
            format!("{}\n", user.replace(publishes, ""))
        });
        self.write_sentinel_users(&refusing.collect::<String>());
    }

    fn write_sentinel_users(&self, users: &str) {
        let users = format!("{users}{}", tester());
        fs::write(self.path("acl").join(SENTINEL_ACL), users).unwrap();
    }

    fn write_passwords(&self) {
        let folder = self.path("auth");
        for component in [Component::Redis, Component::Sentinel] {
            for user in mounted(component) {
                fs::write(folder.join(user), PASSWORD).unwrap();
            }
        }
    }

    /// A new serving certificate for all pods.
    pub fn write_certificate(&self) {
        let mut names = vec!["127.0.0.1".to_owned()];
        for component in [Component::Redis, Component::Sentinel] {
            names.extend((0..=self.config.replicas).map(|ordinal| self.fqdn(component, ordinal)));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let pair = self.authority.issue(&names);
        let folder = self.path("tls");
        fs::write(folder.join("ca.crt"), self.authority.pem()).unwrap();
        fs::write(folder.join("tls.crt"), pair.certificate).unwrap();
        fs::write(folder.join("tls.key"), pair.key).unwrap();
    }

    /// The announced name of a pod.
    pub fn fqdn(&self, component: Component, ordinal: u32) -> String {
        self.names
            .pod_fqdn(component, &self.names.pod(component, ordinal))
    }

    /// Runs a command on the data node, or on the Sentinel, as one who may do all.
    async fn cli(&self, port: u16, command: &[&str]) -> String {
        answer(self.client(port).args(command)).await
    }

    /// The engine's client, for the data node or the Sentinel, as one who may do all.
    fn client(&self, port: u16) -> Command {
        let mut client = Command::new(engine::client());
        client
            .env("REDISCLI_AUTH", PASSWORD)
            .args([
                "-p",
                &port.to_string(),
                "--user",
                TESTER,
                "--tls",
                "--cacert",
            ])
            .arg(self.path("tls").join("ca.crt"));
        client
    }

    /// Runs commands on the data node by one connection, each on a line.
    pub async fn redis_typed(&self, lines: &str) -> String {
        let file = self.folder.path().join("typed");
        fs::write(&file, lines).unwrap();
        let typed = fs::File::open(file).unwrap();
        answer(self.client(self.config.port).stdin(typed)).await
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

async fn answer(client: &mut Command) -> String {
    let output = client.output().await.unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn core(namespace: &str, spec: cachebus_api::CacheBusSpec) -> cachebus_core::bus::Bus {
    cachebus_core::bus::Bus {
        names: Names::new("b", namespace, "cluster.local"),
        uid: UID.to_owned(),
        generation: 1,
        replicas: spec.replicas,
        electorate: cachebus_core::bus::electorate(&spec),
        spec,
        engine: engine::under_test(),
        image: String::new(),
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
