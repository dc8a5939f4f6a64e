//! A server that is started here, and ends with this process.

use crate::alone::{HOST, capabilities, release};
use crate::error::DevError;
use crate::state::State;
use cachebus_admin::{Credentials, Endpoint, Server};
use cachebus_api::engine::EngineKind;
use cachebus_core::engine::Capabilities;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Time that a server has to answer, unless it reads files.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Time that a server has to end; then it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Time that a server has for an answer: machines on which tests run are busy.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Time in which whoever listens at the port of the last time has to prove to be our server.
const RECOGNITION_LIMIT: Duration = Duration::from_secs(2);
/// Between two looks at a server that starts or ends.
const PAUSE: Duration = Duration::from_millis(20);

/// A server's program.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    /// Its release, `8.0.6`.
    pub(crate) release: String,
    /// What it can do.
    pub(crate) engine: &'static Capabilities,
}

impl Program {
    /// The named program, or the one on PATH: of this kind if there is one.
    pub(crate) async fn find(named: Option<&Path>, kind: EngineKind) -> Result<Self, DevError> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => on_path(kind).ok_or(DevError::NoServer)?,
        };
        let output = Command::new(&path)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(DevError::file("running", &path))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let known = release(&said)
            .and_then(|(kind, release)| Some((release.to_owned(), capabilities(kind, release)?)));
        match known {
            Some((release, engine)) => Ok(Self {
                path,
                release,
                engine,
            }),
            None => Err(DevError::ProgramUnsupported { path, said }),
        }
    }

    /// Starts a server by the configuration file and waits until it serves.
    pub(crate) async fn start(
        &self,
        state: &State,
        conf: &Path,
        port: u16,
        credentials: &Credentials,
    ) -> Result<(Process, Server), DevError> {
        let log = state.log()?;
        let errors = log.try_clone()?;
        let child = Command::new(&self.path)
            .arg(conf)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // What a terminal sends is for this process, which ends the server when nobody needs it any more.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(DevError::file("running", &self.path))?;
        let mut process = Process(child);
        let server = process.serving(state, port, credentials).await?;
        Ok((process, server))
    }
}

/// A server's process.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    async fn serving(
        &mut self,
        state: &State,
        port: u16,
        credentials: &Credentials,
    ) -> Result<Server, DevError> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.0.try_wait()? {
                let log = state.log_end();
                return Err(DevError::ServerEnded { status, log });
            }
            let error = match connect(HOST, port, Some(credentials)).await {
                Ok(server) => match server.ping().await {
                    Ok(()) => return Ok(server),
                    // As long as its files are.
                    Err(error) if error.is_loading() => {
                        sleep(PAUSE).await;
                        continue;
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if Instant::now() > deadline {
                return Err(error.into());
            }
            sleep(PAUSE).await;
        }
    }

    /// Returns when it has ended by itself, with the error that this is.
    pub(crate) async fn ended(&mut self, state: &State) -> DevError {
        match self.0.wait().await {
            Ok(status) => {
                let log = state.log_end();
                DevError::ServerEnded { status, log }
            }
            Err(error) => error.into(),
        }
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) -> Result<(), DevError> {
        if let Some(pid) = self.0.id() {
            terminate(pid);
        }
        if timeout(STOP_LIMIT, self.0.wait()).await.is_err() {
            self.0.kill().await?;
        }
        Ok(())
    }
}

/// Connects, to a server that may be slow.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    credentials: Option<&Credentials>,
) -> Result<Server, cachebus_admin::Error> {
    let endpoint = Endpoint::new(host, port).with_deadline(ANSWER_LIMIT);
    Server::connect(&endpoint, credentials).await
}

/// Ends a server that was left behind at this port, by a process that was killed. It is ours if it knows our user's password.
pub(crate) async fn end_left_behind(port: u16, credentials: &Credentials) {
    let known = timeout(RECOGNITION_LIMIT, connect(HOST, port, Some(credentials)));
    let Ok(Ok(server)) = known.await else {
        return;
    };
    let Ok(info) = server.info().await else {
        return;
    };
    if let Some(pid) = info.raw.get("process_id").and_then(|pid| pid.parse().ok()) {
        terminate(pid);
        let mut server = server;
        // It may stay; then its port is taken, and the next one says so.
        let _ = timeout(STOP_LIMIT, server.ended()).await;
    }
}

fn terminate(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        // It fails where the process has ended already.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

/// A port on which nobody listens: the wanted one if it is free.
pub(crate) fn free_port(wanted: Option<u16>) -> Result<u16, DevError> {
    let free =
        |port: u16| TcpListener::bind((HOST, port)).and_then(|listener| listener.local_addr());
    let address = match wanted.map(free) {
        Some(Ok(address)) => address,
        Some(Err(_)) | None => free(0)?,
    };
    Ok(address.port())
}

fn on_path(kind: EngineKind) -> Option<PathBuf> {
    let names = match kind {
        EngineKind::Redis => ["redis-server", "valkey-server"],
        EngineKind::Valkey => ["valkey-server", "redis-server"],
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    names.into_iter().find_map(|name| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|program| program.is_file())
    })
}
