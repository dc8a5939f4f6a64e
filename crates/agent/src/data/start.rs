//! Starting the server, where that is safe.

use super::DataAgent;
use super::running::Running;
use crate::atomic_file;
use crate::auth;
use crate::error::AgentError;
use crate::redis_conf::{RedisConf, Upstream};
use crate::sentinels::Lines;
use cachebus_core::credentials::{OPERATOR, REPLICATION};
use cachebus_core::fence::Answer;
use cachebus_core::names::REDIS_CONF;
use cachebus_core::seal::{
    NEVER_PROMOTE, Question, Role, Sighting, Start, Vote, decide, next_marker,
};
use std::time::Duration;
use tokio::time::Instant;

/// Between two questions to the Sentinels.
const ASK: Duration = Duration::from_secs(1);

impl DataAgent {
    /// Decides, and starts the server unless it is held.
    pub(super) async fn start_by_decision(&mut self) -> Result<(), AgentError> {
        self.site.refresh()?;
        let votes = self.ask_sentinels().await?;
        self.set_spoilt_files_aside(&votes).await;
        match decide(&self.question(&votes)) {
            Start::Hold => {
                if !self.holding {
                    tracing::warn!(
                        "held: Sentinels name this pod the primary and its dataset is gone"
                    );
                }
                self.holding = true;
                self.started = true;
                Ok(())
            }
            // Reading the files takes time, in which Sentinels may move on: it leads once they have been asked again.
            Start::Sealed | Start::Lead => self.start(Upstream::Sealed, NEVER_PROMOTE).await,
            Start::FollowPrimary { pod, priority } => {
                let primary = self.site.data_address(&pod);
                self.start(Upstream::Primary(primary), priority).await
            }
        }
    }

    /// Starts the server with this upstream.
    pub(super) async fn start(
        &mut self,
        upstream: Upstream,
        priority: u32,
    ) -> Result<(), AgentError> {
        let site = &self.site;
        let dataset = self.volume.has_dataset();
        let aof = self.volume.is_in_aof();
        let text = RedisConf {
            shared: &site.directives()?,
            announce: &site.data_address(&site.pod),
            upstream: &upstream,
            priority,
            aof,
            replication: &auth::credentials(&site.layout.auth_dir, REPLICATION)?,
        }
        .render();
        let path = site.layout.run_dir.join(REDIS_CONF);
        atomic_file::replace(&path, text, 0o600).await?;
        self.volume.before_start().await?;
        tracing::info!(?upstream, priority, dataset, ?aof, "starting the server");
        self.supervisor.start(&self.site, &[path.into()])?;
        self.users.server_started();
        self.holding = false;
        self.ask_at = Instant::now();
        let mut running = Running::new(priority, self.serving.certificate());
        if upstream == Upstream::Nobody {
            running.leads_by_decision();
        }
        self.running = Some(running);
        Ok(())
    }

    /// Notes, before this pod leads by the word of its Sentinels, that its data is the primary's.
    pub(super) async fn mark_leading(&mut self, votes: &[Option<Vote>]) -> Result<(), AgentError> {
        let sighting = Sighting {
            role: Role::Leading,
            rewriting: false,
            aof: self.keeps_aof()?,
        };
        match next_marker(&self.question(votes), &sighting) {
            Some(marker) => self.volume.mark(marker).await,
            None => Ok(()),
        }
    }

    /// Whether the server keeps an append-only file or, while none runs, will keep one.
    pub(super) fn keeps_aof(&self) -> Result<bool, AgentError> {
        let running = self.running.as_ref();
        if let Some(info) = running.and_then(|running| running.info.as_ref()) {
            return Ok(info.aof.enabled);
        }
        match self.volume.is_in_aof() {
            Some(aof) => Ok(aof),
            None => Ok(wants_aof(&self.site.directives()?)),
        }
    }

    /// What a decision depends on.
    pub(super) fn question<'a>(&'a self, votes: &'a [Option<Vote>]) -> Question<'a> {
        let keys = self.running.as_ref().and_then(Running::keys);
        Question {
            config: &self.site.config,
            pod: &self.site.pod,
            votes,
            marker: self.volume.marker(),
            dataset: self.volume.has_dataset() || keys.is_some_and(|keys| keys > 0),
        }
    }

    /// Asks the Sentinels, whose answers hold for a second.
    pub(super) async fn ask_sentinels(&mut self) -> Result<Vec<Option<Vote>>, AgentError> {
        self.ask_at = Instant::now() + ASK;
        let credentials = auth::credentials(&self.site.layout.auth_dir, OPERATOR)?;
        let endpoints = self.site.sentinels(self.serving.client());
        let mut lines = Lines::default();
        let answers = lines
            .ask(&endpoints, &credentials, &self.site.config.master_name)
            .await;
        Ok(answers.iter().map(Answer::vote).collect())
    }
}

/// Whether these directives ask for an append-only file.
fn wants_aof(directives: &str) -> bool {
    directives
        .lines()
        .filter_map(|line| line.split_once(' '))
        .any(|(name, value)| name == "appendonly" && value.trim_matches('"') == "yes")
}
