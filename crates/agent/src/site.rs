//! What the agent was told of its pod and of its bus.

use crate::auth;
use crate::engine;
use crate::error::AgentError;
use crate::layout::Layout;
use crate::logs::Redactor;
use cachebus_admin::{Address, Endpoint, TlsContext};
use cachebus_core::names::{
    AGENT_JSON, Component, Names, REDIS_ACL, REDIS_CONF, SENTINEL_ACL, SENTINEL_CONF,
};
use cachebus_core::protocol::{AgentConfig, EngineReport};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often missing files are looked for.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is told that they are missing.
const TELL: Duration = Duration::from_secs(10);
/// How long a Sentinel or the own server may take to answer, connecting included.
const DEADLINE: Duration = Duration::from_secs(1);

/// The pod, the bus, and where their files are.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) component: Component,
    pub(crate) pod: String,
    pub(crate) names: Names,
    /// The DNS name that this pod announces.
    pub(crate) fqdn: String,
    pub(crate) layout: Layout,
    pub(crate) config: AgentConfig,
    pub(crate) engine: EngineReport,
    pub(crate) redactor: Redactor,
}

impl Site {
    /// Waits until every mounted file is there, and reads them.
    pub(crate) async fn wait(
        component: Component,
        pod: String,
        layout: Layout,
    ) -> Result<Self, AgentError> {
        wait_for_files(component, &layout).await;
        let config = read_config(&layout.config_dir)?;
        let names = Names::new(&config.bus, &config.namespace, &config.domain);
        Ok(Self {
            fqdn: names.pod_fqdn(component, &pod),
            engine: engine::report(config.engine).await?,
            redactor: Redactor::new(auth::secrets(&layout.auth_dir, component)?),
            component,
            pod,
            names,
            layout,
            config,
        })
    }

    /// Takes up a changed `agent.json`. One of another bus is none of ours: this pod is about to go.
    pub(crate) fn refresh(&mut self) -> Result<(), AgentError> {
        let config = read_config(&self.layout.config_dir)?;
        if config.uid == self.config.uid {
            self.config = config;
        }
        Ok(())
    }

    /// The mounted directives of the server.
    pub(crate) fn directives(&self) -> Result<String, AgentError> {
        let path = self.layout.config_dir.join(match self.component {
            Component::Redis => REDIS_CONF,
            Component::Sentinel => SENTINEL_CONF,
        });
        fs::read_to_string(&path).map_err(AgentError::file("reading", path))
    }

    /// The mounted ACL file.
    pub(crate) fn acl_file(&self) -> PathBuf {
        acl_file(self.component, &self.layout)
    }

    /// Port of the server in this pod.
    pub(crate) fn port(&self) -> u16 {
        match self.component {
            Component::Redis => self.config.port,
            Component::Sentinel => self.config.sentinel_port,
        }
    }

    /// The server in this pod, which shows a certificate for the pod's announced name.
    pub(crate) fn server(&self, tls: &Arc<TlsContext>) -> Endpoint {
        self.secured(
            Endpoint::new(&self.layout.server_host, self.port()).with_server_name(&self.fqdn),
            tls,
        )
    }

    /// The server of another data pod.
    pub(crate) fn peer(&self, pod: &str, tls: &Arc<TlsContext>) -> Endpoint {
        let address = self.data_address(pod);
        self.secured(Endpoint::new(address.host, address.port), tls)
    }

    /// The bus's Sentinels.
    pub(crate) fn sentinels(&self, tls: &Arc<TlsContext>) -> Vec<Endpoint> {
        self.config
            .sentinels
            .iter()
            .map(|host| self.secured(Endpoint::new(host, self.config.sentinel_port), tls))
            .collect()
    }

    /// The announced address of a data pod.
    pub(crate) fn data_address(&self, pod: &str) -> Address {
        Address::new(self.names.pod_fqdn(Component::Redis, pod), self.config.port)
    }

    /// The announced address of a Sentinel.
    pub(crate) fn sentinel_address(&self, pod: &str) -> Address {
        Address::new(
            self.names.pod_fqdn(Component::Sentinel, pod),
            self.config.sentinel_port,
        )
    }

    fn secured(&self, endpoint: Endpoint, tls: &Arc<TlsContext>) -> Endpoint {
        let endpoint = endpoint.with_deadline(DEADLINE);
        if self.config.tls {
            endpoint.with_tls(Arc::clone(tls))
        } else {
            endpoint
        }
    }
}

async fn wait_for_files(component: Component, layout: &Layout) {
    let mut told: Option<Instant> = None;
    loop {
        let missing = missing(component, layout);
        if missing.is_empty() {
            return;
        }
        if told.is_none_or(|told| told.elapsed() >= TELL) {
            tracing::info!(?missing, "waiting for mounted files");
            told = Some(Instant::now());
        }
        sleep(LOOK).await;
    }
}

fn missing(component: Component, layout: &Layout) -> Vec<PathBuf> {
    let directives = match component {
        Component::Redis => REDIS_CONF,
        Component::Sentinel => SENTINEL_CONF,
    };
    let passwords = cachebus_core::credentials::mounted(component)
        .iter()
        .map(|user| layout.auth_dir.join(user));
    let certificate = [
        crate::tls::CERTIFICATE,
        crate::tls::KEY,
        crate::tls::AUTHORITY,
    ]
    .map(|name| layout.tls_dir.join(name));
    [
        layout.config_dir.join(AGENT_JSON),
        layout.config_dir.join(directives),
        acl_file(component, layout),
    ]
    .into_iter()
    .chain(certificate)
    .chain(passwords)
    .filter(|path| !path.is_file())
    .collect()
}

fn acl_file(component: Component, layout: &Layout) -> PathBuf {
    layout.acl_dir.join(match component {
        Component::Redis => REDIS_ACL,
        Component::Sentinel => SENTINEL_ACL,
    })
}

fn read_config(folder: &Path) -> Result<AgentConfig, AgentError> {
    let path = folder.join(AGENT_JSON);
    let text = fs::read(&path).map_err(AgentError::file("reading", &path))?;
    serde_json::from_slice(&text).map_err(|source| AgentError::Config { path, source })
}
