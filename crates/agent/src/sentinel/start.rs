//! Starting the Sentinel with what it had learned.

use super::{Running, SentinelAgent};
use crate::atomic_file;
use crate::auth;
use crate::error::AgentError;
use crate::sentinel_conf::{Learned, SentinelConf};
use crate::trouble::Trouble;
use cachebus_admin::Address;
use cachebus_core::credentials::SENTINEL;
use cachebus_core::names::SENTINEL_CONF;
use std::fs;
use std::io;
use std::sync::Arc;
use tokio::time::Instant;

impl SentinelAgent {
    /// Starts it. Its file lies on the data volume, for it keeps its state there itself.
    pub(super) async fn start(&mut self) -> Result<(), AgentError> {
        self.site.refresh()?;
        let site = &self.site;
        let path = site.layout.data_dir.join(SENTINEL_CONF);
        let left_behind = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(AgentError::file("reading", path)(error)),
        };
        let learned = Learned::read(&left_behind, &site.config.master_name);
        let text = SentinelConf {
            shared: &site.directives()?,
            announce: &Address::new(&site.fqdn, site.config.sentinel_port),
            config: &site.config,
            user: &auth::credentials(&site.layout.auth_dir, SENTINEL)?,
            learned: &learned,
        }
        .render();
        atomic_file::replace(&path, text, 0o600).await?;
        tracing::info!(monitors = learned.monitors(), "starting the Sentinel");
        self.supervisor
            .start(&self.site, &[path.into(), "--sentinel".into()])?;
        self.users.server_started();
        self.running = Some(Running {
            connection: None,
            switches: None,
            answered: Instant::now(),
            told: Instant::now(),
            up: false,
            trouble: Trouble::default(),
            run_id: None,
            monitored: None,
            introduced: learned.monitors(),
            info: Arc::default(),
            certificate: self.serving.certificate(),
            served: None,
            compare_at: Instant::now(),
        });
        Ok(())
    }
}
