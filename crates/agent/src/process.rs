//! The supervised server process.

use crate::error::AgentError;
use crate::logs::{self, Listener, Redactor};
use crate::stop::Stop;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// How long the last lines of an ended server are waited for: a grandchild may hold the pipe open.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A running server, or one whose end has not been taken note of. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    output: Vec<JoinHandle<()>>,
    listener: Listener,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended(ExitStatus);

impl Ended {
    /// The exit code; 128 + n where signal n ended it, as shells have it.
    pub(crate) fn code(self) -> u8 {
        let code = self
            .0
            .code()
            .or_else(|| self.0.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
    }
}

impl ServerProcess {
    /// Starts `program`; what it writes is passed on to the log.
    pub(crate) fn spawn(
        program: &str,
        arguments: &[OsString],
        redactor: &Redactor,
    ) -> Result<Self, AgentError> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| AgentError::Spawn {
                program: program.to_owned(),
                source,
            })?;
        let mut output = Vec::new();
        let listener = Listener::default();
        if let Some(stdout) = child.stdout.take() {
            let forwarded = logs::forward(stdout, redactor.clone(), listener.clone());
            output.push(tokio::spawn(forwarded));
        }
        if let Some(stderr) = child.stderr.take() {
            let forwarded = logs::forward(stderr, redactor.clone(), listener.clone());
            output.push(tokio::spawn(forwarded));
        }
        tracing::info!(program, pid = child.id(), "server started");
        Ok(Self {
            child,
            output,
            listener,
        })
    }

    /// What it tells of its files. Its last lines come a moment after its end.
    pub(crate) fn listener(&self) -> Listener {
        self.listener.clone()
    }

    /// Its process id, until its end has been taken note of.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Resolves when it has ended. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Result<Ended, AgentError> {
        let status = self
            .child
            .wait()
            .await
            .map_err(|source| AgentError::Process {
                action: "awaiting the end of",
                source,
            })?;
        Ok(Ended(status))
    }

    /// Waits, after its end, until what it wrote last has been passed on.
    pub(crate) async fn last_lines(mut self) {
        for task in self.output.drain(..) {
            // What is not read within the time stays unread; the end itself is known.
            let _ = tokio::time::timeout(LAST_LINES, task).await;
        }
    }

    /// Ends it by SIGTERM, on which it saves what it has to, and kills it at the next request to stop. How long it may take is
    /// for kubelet to say, which knows how large it is.
    pub(crate) async fn stop(mut self, stop: &mut Stop) -> Result<Ended, AgentError> {
        self.terminate()?;
        let ended = tokio::select! {
            ended = self.ended() => Some(ended?),
            () = stop.asked() => None,
        };
        let ended = if let Some(ended) = ended {
            ended
        } else {
            tracing::warn!("asked to stop a second time: the server is killed");
            self.signal(Signal::SIGKILL)?;
            self.ended().await?
        };
        self.last_lines().await;
        Ok(ended)
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) -> Result<(), AgentError> {
        self.signal(Signal::SIGTERM)
    }

    fn signal(&self, signal: Signal) -> Result<(), AgentError> {
        let Some(pid) = self.id().and_then(|pid| i32::try_from(pid).ok()) else {
            return Ok(());
        };
        kill(Pid::from_raw(pid), signal).map_err(|errno| AgentError::Process {
            action: "signalling",
            source: errno.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shell(script: &str) -> ServerProcess {
        let arguments = ["-c".into(), script.into()];
        ServerProcess::spawn("/bin/sh", &arguments, &Redactor::new(Vec::new())).unwrap()
    }

    async fn readable(path: &std::path::Path) {
        while !path.exists() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn codes_and_signals_are_told() {
        assert_eq!(shell("exit 7").ended().await.unwrap().code(), 7);
        assert_eq!(shell("kill -9 $$").ended().await.unwrap().code(), 137);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error =
            ServerProcess::spawn("no-such-server", &[], &Redactor::new(Vec::new())).unwrap_err();
        assert!(error.to_string().contains("no-such-server"), "{error}");
    }

    #[tokio::test]
    async fn stopping_lets_the_server_finish() {
        let folder = tempfile::tempdir().unwrap();
        let up = folder.path().join("up");
        let script = format!(
            "trap 'exit 3' TERM; : > {}; while :; do sleep 0.05; done",
            up.display()
        );
        let process = shell(&script);
        readable(&up).await;
        let (_stopper, mut stop) = Stop::channel();
        assert_eq!(process.stop(&mut stop).await.unwrap().code(), 3);
    }

    #[tokio::test]
    async fn a_second_request_kills() {
        let folder = tempfile::tempdir().unwrap();
        let up = folder.path().join("up");
        let script = format!(
            "trap '' TERM; : > {}; while :; do sleep 0.05; done",
            up.display()
        );
        let process = shell(&script);
        readable(&up).await;
        let (stopper, mut stop) = Stop::channel();
        stopper.ask().await;
        assert_eq!(process.stop(&mut stop).await.unwrap().code(), 137);
    }
}
