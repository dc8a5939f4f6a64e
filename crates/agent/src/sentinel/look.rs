//! Looking at the running Sentinel.

use super::switches::Switches;
use super::{Running, SentinelAgent, forget, monitored};
use crate::auth;
use crate::error::AgentError;
use crate::site::Site;
use crate::snapshot::{STALE, is_silence};
use crate::users::Users;
use cachebus_admin::{Credentials, Endpoint, Sentinel, SentinelEvents};
use cachebus_core::credentials::{OPERATOR, SENTINEL};
use cachebus_core::protocol::Monitored;
use cachebus_core::tls::fingerprint;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a [`crate::trouble::Trouble`] is about.
const LOOK: &str = "the look at the Sentinel fails";
/// Between two comparisons of users with what they shall be.
const COMPARE: Duration = Duration::from_secs(5);

impl SentinelAgent {
    /// Starts the Sentinel where that is due; looks at it where it runs. An error ends the agent.
    pub(super) async fn look(&mut self) -> Result<(), AgentError> {
        for refreshed in [self.users.refresh(), self.serving.refresh().map(drop)] {
            if let Err(error) = refreshed {
                tracing::warn!(%error, reason = error.reason(), "a mounted file is not taken up");
            }
        }
        if self.supervisor.may_start() {
            self.start().await?;
        }
        self.look_at_sentinel().await;
        Ok(())
    }

    /// Asks the Sentinel what it knows, and tells it what it lacks.
    pub(super) async fn look_at_sentinel(&mut self) {
        let Some(running) = &mut self.running else {
            return;
        };
        let endpoint = self.site.server(self.serving.client());
        match running.look(&self.site, &mut self.users, &endpoint).await {
            Ok(()) => running.trouble.is_over(LOOK),
            Err(error) => running.note(&error),
        }
    }
}

impl Running {
    async fn look(
        &mut self,
        site: &Site,
        users: &mut Users,
        endpoint: &Endpoint,
    ) -> Result<(), AgentError> {
        let operator = auth::credentials(&site.layout.auth_dir, OPERATOR)?;
        let sentinel = match self.connection.take() {
            Some(sentinel) if !sentinel.is_closed() => sentinel,
            _ => {
                let sentinel = Sentinel::connect(endpoint, Some(&operator)).await?;
                let shown = sentinel.peer_certificate();
                self.served = shown.map(|certificate| fingerprint(certificate));
                sentinel
            }
        };
        let looked = self.look_through(&sentinel, site, users).await;
        self.connection = Some(sentinel);
        looked?;
        self.listen(endpoint, &operator).await
    }

    /// Subscribes to the Sentinel's events, where that is not so already. Its users are in line by now.
    async fn listen(
        &mut self,
        endpoint: &Endpoint,
        operator: &Credentials,
    ) -> Result<(), AgentError> {
        let listens = self
            .switches
            .as_mut()
            .is_some_and(|switches| !switches.have_ended());
        if !listens {
            self.switches = None;
            let events = SentinelEvents::subscribe(endpoint, Some(operator)).await?;
            self.switches = Some(Switches::of(events));
        }
        Ok(())
    }

    async fn look_through(
        &mut self,
        sentinel: &Sentinel,
        site: &Site,
        users: &mut Users,
    ) -> Result<(), AgentError> {
        self.info = Arc::new(sentinel.info().await?);
        self.up = true;
        self.answered = Instant::now();
        self.told = self.answered;
        if self.run_id.is_none() {
            self.run_id = Some(sentinel.my_id().await?);
        }
        let name = &site.config.master_name;
        let mut monitored = match sentinel.primary_address(name).await? {
            Some(_) => Some(monitored::ask(sentinel, name).await?),
            None => None,
        };
        if forget::strangers(sentinel, site, &self.info, monitored.as_ref()).await? {
            monitored = None;
        }
        let named =
            |monitored: &Option<Monitored>| monitored.as_ref().map(|known| known.host.clone());
        let (before, now) = (named(&self.monitored), named(&monitored));
        if now != before {
            tracing::info!(?before, ?now, "the Sentinel names another primary");
        }
        self.monitored = monitored;
        if self.monitored.is_some() && !self.introduced {
            introduce(sentinel, site).await?;
            self.introduced = true;
        }
        if !users.tried() || Instant::now() >= self.compare_at {
            users.settle(sentinel.acl()).await?;
            self.compare_at = Instant::now() + COMPARE;
        }
        Ok(())
    }

    /// Takes note that a call failed. One late answer is no news.
    pub(super) fn note(&mut self, error: &AgentError) {
        if !is_silence(error) {
            self.answered = Instant::now();
        }
        if let AgentError::Engine(error) = error
            && error.needs_reconnect()
        {
            self.connection = None;
            if self.told.elapsed() <= STALE {
                return;
            }
            self.up = false;
        }
        self.trouble.is(LOOK, error);
    }
}

/// Tells the Sentinel by which user it acts on the data nodes.
pub(super) async fn introduce(sentinel: &Sentinel, site: &Site) -> Result<(), AgentError> {
    let user = auth::credentials(&site.layout.auth_dir, SENTINEL)?;
    let options = [
        ("auth-user", user.username.as_str()),
        ("auth-pass", user.password.expose()),
    ];
    sentinel.set(&site.config.master_name, &options).await?;
    Ok(())
}
