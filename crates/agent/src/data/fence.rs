//! Having a leading server refuse writes while another may lead.

use super::DataAgent;
use crate::auth;
use crate::error::AgentError;
use crate::sentinels::Lines;
use cachebus_core::credentials::OPERATOR;
use cachebus_core::fence::{DIRECTIVE, Hearing, Sight, UNMET, Verdict, Watch};
use cachebus_core::protocol::{AgentConfig, Fenced, Phase, ReplicationStatus};
use std::mem;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Longest time that Sentinels have to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of a server's right to take writes. It ends with the server, whose next start is by the rendered file.
#[derive(Debug)]
pub(super) struct Fence {
    /// From which times are counted.
    start: Instant,
    /// While it leads, and until what it was told as a leader is taken back.
    watch: Option<Watch>,
    hearing: Option<Hearing>,
    /// Sentinels are being asked. Their silence must not hold up the look that has to notice it.
    asking: Option<JoinHandle<(Lines, Hearing)>>,
    /// By which they were asked last.
    lines: Lines,
}

impl Fence {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            watch: None,
            hearing: None,
            asking: None,
            lines: Lines::default(),
        }
    }

    /// Why the server refuses writes, where it does.
    pub(super) fn fenced(&self) -> Option<&Fenced> {
        self.watch.as_ref()?.fenced()
    }

    /// Whether the server takes writes as the spec says, as far as this is about it.
    pub(super) fn is_open(&self) -> bool {
        self.watch.as_ref().is_none_or(Watch::is_open)
    }

    /// Whether the next look at a leading server may wait.
    pub(super) fn may_wait(&self, config: &AgentConfig) -> bool {
        let now_ms = self.now_ms();
        self.watch
            .as_ref()
            .is_some_and(|watch| watch.may_wait(config, now_ms))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes up what Sentinels have said meanwhile.
    async fn listen(&mut self) {
        let asked = self.asking.take_if(|asking| asking.is_finished());
        if let Some(asked) = asked
            && let Ok((lines, hearing)) = asked.await
        {
            self.lines = lines;
            self.hearing = Some(hearing);
        }
    }

    fn judge(
        &mut self,
        config: &AgentConfig,
        pod: &str,
        replication: &ReplicationStatus,
    ) -> Verdict {
        let now_ms = self.now_ms();
        let watch = self.watch.get_or_insert_with(|| Watch::begin(now_ms));
        watch.judge(&Sight {
            config,
            pod,
            now_ms,
            replicas: &replication.replicas,
            hearing: self.hearing.as_ref(),
        })
    }
}

impl DataAgent {
    /// Has the server refuse writes, take them with all its replicas only, or as the spec says, as what is seen of its replicas and
    /// of the Sentinels asks for.
    pub(super) async fn fence(&mut self) -> Result<(), AgentError> {
        let verdict = match self.phase() {
            Phase::Leading => self.judge_lead().await?,
            // It refuses writes as a replica, and must take them when it is made the primary.
            Phase::Sealed | Phase::Following(_) => self.lead_is_over(),
            Phase::Down | Phase::Holding | Phase::Loading | Phase::Unknown => Verdict::Stay,
        };
        let before = self.fenced().cloned();
        let was_open = self.takes_writes_as_asked();
        match &verdict {
            Verdict::Stay => return Ok(()),
            Verdict::Fence(why) => {
                self.server()?.config_set(&[(DIRECTIVE, UNMET)]).await?;
                if before.as_ref() != Some(why) {
                    tracing::warn!(%why, "fenced: the server refuses writes");
                }
            }
            Verdict::Bind => {
                let replicas = self.site.config.replicas.to_string();
                self.server()?.config_set(&[(DIRECTIVE, &replicas)]).await?;
                if was_open || before.is_some() {
                    tracing::warn!(
                        "no majority of Sentinels answers: writes are taken with all replicas only"
                    );
                }
            }
            Verdict::Open => {
                let wanted = replicas_to_write(&self.site.directives()?).to_string();
                self.server()?.config_set(&[(DIRECTIVE, &wanted)]).await?;
                tracing::info!("writes are taken as the spec says again");
            }
        }
        if let Some(running) = &mut self.running {
            if let Some(watch) = &mut running.fence.watch {
                watch.carried_out(verdict);
            }
            if running.fence.fenced() != before.as_ref() || running.fence.is_open() != was_open {
                running.compare_at = Instant::now();
            }
        }
        Ok(())
    }

    /// Why the server refuses writes, where it does.
    pub(super) fn fenced(&self) -> Option<&Fenced> {
        self.running.as_ref()?.fence.fenced()
    }

    /// Whether [`DIRECTIVE`] is what the spec asks for, as far as this agent knows.
    pub(super) fn takes_writes_as_asked(&self) -> bool {
        let running = self.running.as_ref();
        running.is_none_or(|running| running.fence.is_open())
    }

    async fn judge_lead(&mut self) -> Result<Verdict, AgentError> {
        let Some(replication) = self.replication() else {
            return Ok(Verdict::Stay);
        };
        let Some(running) = &mut self.running else {
            return Ok(Verdict::Stay);
        };
        let fence = &mut running.fence;
        fence.listen().await;
        let site = &self.site;
        let verdict = fence.judge(&site.config, &site.pod, &replication);
        let now_ms = fence.now_ms();
        let asks = fence
            .watch
            .as_ref()
            .is_some_and(|watch| watch.asks(&site.config, now_ms));
        if asks && fence.asking.is_none() {
            let credentials = auth::credentials(&site.layout.auth_dir, OPERATOR)?;
            let window = Duration::from_millis(site.config.fencing_window_ms);
            // Two rounds of questions fit into the window, the second one unanswered.
            let deadline = PATIENCE.min(window / 4);
            let endpoints: Vec<_> = site
                .sentinels(self.serving.client())
                .into_iter()
                .map(|endpoint| endpoint.with_deadline(deadline))
                .collect();
            let master_name = site.config.master_name.clone();
            let mut lines = mem::take(&mut fence.lines);
            fence.asking = Some(tokio::spawn(async move {
                let hearing = Hearing {
                    asked_ms: now_ms,
                    answers: lines.ask(&endpoints, &credentials, &master_name).await,
                };
                (lines, hearing)
            }));
        }
        Ok(verdict)
    }

    fn lead_is_over(&mut self) -> Verdict {
        let Some(running) = &mut self.running else {
            return Verdict::Stay;
        };
        if !running.fence.is_open() {
            return Verdict::Open;
        }
        running.fence.watch = None;
        running.fence.hearing = None;
        Verdict::Stay
    }
}

/// What these directives ask for; what an engine has by itself where they say nothing.
pub(super) fn replicas_to_write(directives: &str) -> usize {
    directives
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == DIRECTIVE)
        .and_then(|(_, value)| value.trim_matches('"').parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_mounted_file_asks_for_is_taken_back() {
        let file = "maxmemory \"1\"\nmin-replicas-max-lag \"5\"\nmin-replicas-to-write \"1\"\n";
        assert_eq!(replicas_to_write(file), 1);
        assert_eq!(replicas_to_write("maxmemory \"1\"\n"), 0);
    }
}
