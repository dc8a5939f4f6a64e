//! Looking at the running server, and what follows from what is seen.

use super::DataAgent;
use super::running::{LOOK, Running};
use super::settings::compared;
use crate::auth;
use crate::error::AgentError;
use crate::site::Site;
use cachebus_admin::{Endpoint, Server, TlsContext};
use cachebus_core::credentials::OPERATOR;
use cachebus_core::protocol::Phase;
use cachebus_core::seal::{
    NEVER_PROMOTE, Role, Start, decide, just_promoted, next_marker, priority,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between two comparisons of users and settings with what they shall be.
const COMPARE: Duration = Duration::from_secs(5);

impl DataAgent {
    /// Starts the server where that is due; looks at it where it runs. An error ends the agent.
    pub(super) async fn look(&mut self) -> Result<(), AgentError> {
        if self.supervisor.is_running() {
            self.follow_files();
            self.look_and_note().await;
            return Ok(());
        }
        if self.supervisor.may_start() && Instant::now() >= self.ask_at {
            self.follow_files();
            self.start_by_decision().await?;
        }
        Ok(())
    }

    /// Whether nothing is under way, so that the next look may wait.
    pub(super) fn is_settled(&self) -> bool {
        self.users.tried()
            && match self.phase() {
                Phase::Leading => self.running.as_ref().is_some_and(|running| {
                    let flushes = self.may_write() && running.led.flush.is_under_way();
                    running.fence.may_wait(&self.site.config) && !flushes
                }),
                Phase::Following(_) => self.link_up(),
                Phase::Down | Phase::Holding | Phase::Loading | Phase::Sealed | Phase::Unknown => {
                    false
                }
            }
    }

    /// Reads the mounted files, which change under way. They are read, not watched: see [`crate::users::Users::refresh`].
    fn follow_files(&mut self) {
        if let Err(error) = self.users.refresh() {
            tracing::warn!(%error, reason = error.reason(), "the mounted users are not taken up");
        }
        match self.serving.refresh() {
            Ok(false) => {}
            Ok(true) => tracing::info!("a new certificate is mounted"),
            Err(error) => {
                tracing::warn!(%error, reason = error.reason(), "the mounted certificate is not taken up");
            }
        }
    }

    /// Asks the server how it is and carries on from there. What fails is tried again at the next look.
    pub(super) async fn look_and_note(&mut self) {
        match self.look_at_server().await {
            Ok(()) => {
                if let Some(running) = &mut self.running {
                    running.trouble.is_over(LOOK);
                }
            }
            Err(error) => self.note(&error),
        }
    }

    async fn look_at_server(&mut self) -> Result<(), AgentError> {
        let before = self.phase();
        let client = Arc::clone(self.serving.client());
        self.ask_server(&client).await?;
        let phase = self.phase();
        if phase != before {
            tracing::info!(?before, now = ?phase, "the server's role has changed");
            // What follows may take a while, where a Sentinel does not answer.
            self.publish();
        }
        self.fence().await?;
        if let Some(running) = &mut self.running {
            running.farewell.saw(&phase);
        }
        self.bid_farewell().await?;
        if matches!(phase, Phase::Down | Phase::Loading) {
            return Ok(());
        }
        self.started = true;
        self.update_marker().await?;
        if phase == Phase::Sealed {
            self.try_to_unseal().await?;
        } else {
            self.update_priority().await?;
        }
        self.compare().await?;
        self.reload_certificate().await?;
        self.look_after_led().await
    }

    async fn ask_server(&mut self, client: &Arc<TlsContext>) -> Result<(), AgentError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        if running.connection.as_ref().is_none_or(Server::is_closed) {
            running.connection = None;
            running.connected(connect(&self.site, &self.site.server(client)).await?);
        }
        if let Some(server) = &running.connection {
            let info = server.info_all().await?;
            running.saw(info);
        }
        Ok(())
    }

    /// Keeps the marker true.
    async fn update_marker(&mut self) -> Result<(), AgentError> {
        let Some(sighting) = self.running.as_ref().and_then(Running::sighting) else {
            return Ok(());
        };
        if self.running.as_ref().is_some_and(Running::has_saved) {
            self.volume.is_saved()?;
        }
        let arrived = match sighting.role {
            Role::Leading => Some(self.site.pod.clone()),
            Role::Following {
                primary,
                link_up: true,
                ..
            } if !sighting.rewriting => self.site.names.data_pod_of_host(primary),
            Role::Following { .. } => None,
        };
        let noted = self
            .volume
            .marker()
            .filter(|marker| marker.uid == self.site.config.uid && marker.epoch > 0)
            .map(|marker| &marker.primary);
        // Sentinels count the epoch of a primary that is new to the marker, perhaps a moment after it has begun to lead.
        let is_new = arrived.is_some() && arrived.as_ref() != noted;
        let promoted = self.running.as_ref().and_then(Running::promoted);
        let votes = if is_new || just_promoted(promoted) {
            self.ask_sentinels().await?
        } else {
            Vec::new()
        };
        let next = self
            .running
            .as_ref()
            .and_then(Running::sighting)
            .and_then(|sighting| next_marker(&self.question(&votes), &sighting));
        match next {
            Some(marker) => self.volume.mark(marker).await,
            None => Ok(()),
        }
    }

    /// A sealed server asks on, and takes the role that a majority of Sentinels gives it. Where they name this pod and its
    /// dataset is gone, they move on once its server is gone too.
    async fn try_to_unseal(&mut self) -> Result<(), AgentError> {
        if Instant::now() < self.ask_at {
            return Ok(());
        }
        self.site.refresh()?;
        let votes = self.ask_sentinels().await?;
        match decide(&self.question(&votes)) {
            Start::Sealed => Ok(()),
            Start::Hold => self.supervisor.halt(),
            Start::Lead => {
                self.server()?;
                self.mark_leading(&votes).await?;
                self.lead().await
            }
            Start::FollowPrimary { pod, priority } => self.follow(&pod, priority).await,
        }
    }

    /// Lets Sentinels promote this copy exactly while it is known to be the primary's.
    async fn update_priority(&mut self) -> Result<(), AgentError> {
        let config = &self.site.config;
        let wanted = match self.phase() {
            Phase::Leading => config.replica_priority,
            Phase::Following(primary) => {
                let linked = self
                    .running
                    .as_ref()
                    .is_some_and(|running| running.linked.is_some());
                let dataset = self.question(&[]).dataset;
                priority(config, self.volume.marker(), dataset, &primary, linked)
            }
            Phase::Down | Phase::Holding | Phase::Loading | Phase::Sealed | Phase::Unknown => {
                NEVER_PROMOTE
            }
        };
        self.set_priority(wanted).await
    }

    /// Has the server load a certificate that was mounted since it last loaded one. Naming the same files again makes it read
    /// them, and a new connection shows what it made of them.
    async fn reload_certificate(&mut self) -> Result<(), AgentError> {
        let mounted = self.serving.certificate();
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        if running.certificate == mounted {
            return Ok(());
        }
        if self.site.config.tls
            && let Some(server) = &running.connection
        {
            let folder = &self.site.layout.tls_dir;
            let path = |name| folder.join(name).to_string_lossy().into_owned();
            server
                .config_set(&[
                    ("tls-cert-file", &path(crate::tls::CERTIFICATE)),
                    ("tls-key-file", &path(crate::tls::KEY)),
                    ("tls-ca-cert-file", &path(crate::tls::AUTHORITY)),
                ])
                .await?;
            let own = self.site.server(self.serving.client());
            running.connected(connect(&self.site, &own).await?);
            tracing::info!(
                expires = mounted.expires,
                served = running.served,
                "the server has loaded a new certificate"
            );
        }
        running.certificate = mounted;
        Ok(())
    }

    /// Compares users and settings with what they shall be, at once where other users are wanted than before.
    async fn compare(&mut self) -> Result<(), AgentError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let due = Instant::now() >= running.compare_at;
        let Some(server) = running
            .connection
            .as_ref()
            .filter(|_| due || !self.users.tried())
        else {
            return Ok(());
        };
        self.users.settle(server.acl()).await?;
        running.config = compared(&self.site.directives()?, &server.config_get_all().await?);
        running.compare_at = Instant::now() + COMPARE;
        if due {
            self.site.refresh()?;
        }
        Ok(())
    }

    pub(super) fn note(&mut self, error: &AgentError) {
        if let Some(running) = &mut self.running {
            running.note(error);
        }
    }
}

/// Connects to a data node, this pod's or another's.
pub(super) async fn connect(site: &Site, node: &Endpoint) -> Result<Server, AgentError> {
    let credentials = auth::credentials(&site.layout.auth_dir, OPERATOR)?;
    Ok(Server::connect(node, Some(&credentials)).await?)
}
