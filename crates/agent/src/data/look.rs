//! Looking at the running server, and what follows from what is seen.

use super::DataAgent;
use super::running::Running;
use crate::auth;
use crate::error::AgentError;
use cachebus_admin::{Server, TlsContext};
use cachebus_core::credentials::OPERATOR;
use cachebus_core::protocol::Phase;
use cachebus_core::seal::{NEVER_PROMOTE, Role, Start, decide, next_marker, priority};
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
            if let Err(error) = self.look_at_server().await {
                self.note(&error);
            }
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
        self.users.settled()
            && match self.phase() {
                Phase::Leading => true,
                Phase::Following(_) => self.link_up(),
                Phase::Down | Phase::Holding | Phase::Loading | Phase::Sealed => false,
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

    /// Asks the server how it is and carries on from there.
    pub(super) async fn look_at_server(&mut self) -> Result<(), AgentError> {
        let before = self.phase();
        let client = Arc::clone(self.serving.client());
        self.ask_server(&client).await?;
        let phase = self.phase();
        if phase != before {
            tracing::info!(?before, now = ?phase, "the server's role has changed");
        }
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
        self.reload_certificate().await?;
        self.compare().await
    }

    async fn ask_server(&mut self, client: &Arc<TlsContext>) -> Result<(), AgentError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let server = match running.connection.take() {
            Some(server) if !server.is_closed() => server,
            _ => {
                let credentials = auth::credentials(&self.site.layout.auth_dir, OPERATOR)?;
                Server::connect(&self.site.server(client), Some(&credentials)).await?
            }
        };
        let info = server.info_all().await;
        running.connection = Some(server);
        running.saw(info?);
        Ok(())
    }

    async fn update_marker(&mut self) -> Result<(), AgentError> {
        let Some(role) = self
            .running
            .as_ref()
            .and_then(Running::sighting)
            .map(|sighting| sighting.role)
        else {
            return Ok(());
        };
        let primary = match role {
            Role::Leading => Some(self.site.pod.clone()),
            Role::Following { primary, .. } => self.site.names.data_pod_of_host(primary),
        };
        let noted = self.volume.marker().map(|marker| marker.primary.clone());
        // Only a primary that is new to the marker needs to be counted by the Sentinels' epoch.
        let votes = if primary == noted {
            Vec::new()
        } else {
            self.ask_sentinels().await?
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

    /// A sealed server asks on, and takes the role that a majority of Sentinels gives it.
    async fn try_to_unseal(&mut self) -> Result<(), AgentError> {
        if Instant::now() < self.ask_at {
            return Ok(());
        }
        self.site.refresh()?;
        let votes = self.ask_sentinels().await?;
        match decide(&self.question(&votes)) {
            Start::Sealed | Start::Hold => Ok(()),
            Start::Lead => {
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
            Phase::Down | Phase::Holding | Phase::Loading | Phase::Sealed => NEVER_PROMOTE,
        };
        self.set_priority(wanted).await
    }

    /// Has the server load a certificate that was mounted since it last loaded one. Naming the same files again makes it read
    /// them.
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
            tracing::info!(
                expires = mounted.expires,
                "the server has loaded a new certificate"
            );
        }
        running.certificate = mounted;
        Ok(())
    }

    /// Compares users and settings with what they shall be, at once where they are known to differ.
    async fn compare(&mut self) -> Result<(), AgentError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let due = Instant::now() >= running.compare_at;
        let Some(server) = running
            .connection
            .as_ref()
            .filter(|_| due || !self.users.settled())
        else {
            return Ok(());
        };
        self.users.settle(server.acl()).await?;
        running.config = Some(server.config_get_all().await?);
        running.compare_at = Instant::now() + COMPARE;
        if due {
            self.site.refresh()?;
        }
        Ok(())
    }

    pub(super) fn note(&mut self, error: &AgentError) {
        tracing::debug!(%error, reason = error.reason(), "the look at the server failed");
        if let (AgentError::Engine(error), Some(running)) = (error, &mut self.running) {
            running.failed(error);
        }
    }
}
