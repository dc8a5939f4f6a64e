//! The server's life: started, ended unasked, started again, stopped.

use crate::crash_log::{CrashLog, Verdict};
use crate::engine;
use crate::error::AgentError;
use crate::logs::{Listener, Redactor};
use crate::process::{Ended, ServerProcess};
use crate::reap;
use crate::site::Site;
use crate::stop::Stop;
use std::ffi::OsString;
use tokio::time::Instant;

/// The one server of this pod, whether it runs or not.
#[derive(Debug)]
pub(crate) struct Supervisor {
    process: Option<ServerProcess>,
    /// It was told to end, and another may be started after it.
    halting: bool,
    start_at: Instant,
    crashes: CrashLog,
    /// With which code the last server ended unasked, and what it had told; `None` from the next start on.
    ending: Option<(u8, Listener)>,
}

impl Supervisor {
    /// No server yet; one may start at once.
    pub(crate) fn new() -> Self {
        Self {
            process: None,
            halting: false,
            start_at: Instant::now(),
            crashes: CrashLog::default(),
            ending: None,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Whether no server runs, and none has to be waited for.
    pub(crate) fn may_start(&self) -> bool {
        !self.is_running() && Instant::now() >= self.start_at
    }

    /// Ends nobody asked for since the agent started.
    pub(crate) fn crashes(&self) -> u64 {
        self.crashes.total()
    }

    /// Starts the bus's engine.
    pub(crate) fn start(&mut self, site: &Site, arguments: &[OsString]) -> Result<(), AgentError> {
        self.spawn(
            engine::program(site.config.engine),
            arguments,
            &site.redactor,
        )
    }

    pub(crate) fn spawn(
        &mut self,
        program: &str,
        arguments: &[OsString],
        redactor: &Redactor,
    ) -> Result<(), AgentError> {
        self.ending = None;
        self.process = Some(ServerProcess::spawn(program, arguments, redactor)?);
        Ok(())
    }

    /// Whether the last server has ended since its files are damaged, as far as it has told. It is started again a second after
    /// its end at the earliest: by then its last lines have come.
    pub(crate) fn could_not_read(&self) -> bool {
        let ending = self.ending.as_ref();
        ending.is_some_and(|(code, listener)| listener.heard().spoilt(*code))
    }

    /// Resolves when the server has ended; never, while none runs.
    pub(crate) async fn ended(&mut self) -> Result<Ended, AgentError> {
        match &mut self.process {
            Some(process) => process.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Takes note of the server's end. An error: nobody asked for it, and it was one too many.
    pub(crate) async fn has_ended(&mut self, ended: Ended) -> Result<(), AgentError> {
        let code = ended.code();
        self.ending = self
            .process
            .as_ref()
            .filter(|_| !self.halting)
            .map(|process| (code, process.listener()));
        let last_lines = self.process.take().map(ServerProcess::last_lines);
        // A grandchild may hold its output open, and whoever is to take the lead over does not wait for that.
        let last_lines = last_lines.map(tokio::spawn);
        if std::mem::take(&mut self.halting) {
            tracing::info!(code, "the server has ended as it was told to");
            return Ok(());
        }
        match self.crashes.record(Instant::now()) {
            Verdict::StartAt(at) => {
                let wait = at.duration_since(Instant::now());
                tracing::warn!(code, ?wait, "the server ended unasked and is started again");
                self.start_at = at;
                Ok(())
            }
            Verdict::GiveUp(crashes) => {
                if let Some(last_lines) = last_lines {
                    // Nobody reads them once this process has ended.
                    let _ = last_lines.await;
                }
                Err(AgentError::CrashLoop { crashes, code })
            }
        }
    }

    /// Tells the server to end, and goes on without waiting for it.
    pub(crate) fn halt(&mut self) -> Result<(), AgentError> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        process.terminate()?;
        self.halting = true;
        Ok(())
    }

    /// Ends the server, if one runs. Returns its exit code.
    pub(crate) async fn stop(&mut self, stop: &mut Stop) -> Result<Option<u8>, AgentError> {
        let Some(process) = self.process.take() else {
            return Ok(None);
        };
        tracing::info!("stopping the server");
        let code = process.stop(stop).await?.code();
        tracing::info!(code, "the server has ended");
        Ok(Some(code))
    }

    /// Takes note of the ends of orphans, where this process inherits them.
    pub(crate) fn reap_strangers(&self) {
        if reap::is_init() {
            reap::strangers(self.process.as_ref().and_then(ServerProcess::id));
        }
    }
}
