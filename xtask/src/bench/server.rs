//! A server of a supported engine that lives as long as a measurement, by TLS and in plain text.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::command::Cmd;
use crate::lab::{EngineImage, Lab, docker, until};

pub(super) const HOST: &str = "127.0.0.1";
const START_LIMIT: Duration = Duration::from_secs(30);

/// The server; it is killed when this is dropped.
pub(super) struct Server {
    container: String,
    pub(super) port: u16,
    pub(super) tls_port: u16,
    pub(super) ca: PathBuf,
}

impl Server {
    /// Starts it, and waits until it answers. `certificates` has `ca.crt`, `tls.crt` and `tls.key`. It keeps nothing, and whoever is on this
    /// machine may do everything on it.
    pub(super) fn start(
        lab: &Lab,
        engine: &EngineImage,
        certificates: &Path,
    ) -> anyhow::Result<Self> {
        let (port, tls_port) = (free_port()?, free_port()?);
        let container = format!("cachebus-bench-{}", std::process::id());
        let file = |name| certificates.join(name);
        docker()
            .args(["run", "--detach", "--rm", "--network", "host"])
            .args(["--name", &container, "--entrypoint", engine.server()])
            .arg("--volume")
            .arg(format!("{0}:{0}:ro", certificates.display()))
            .arg(engine.image(lab.source()))
            .args(["--bind", HOST, "--port", &port.to_string()])
            .args(["--tls-port", &tls_port.to_string()])
            .args(["--tls-auth-clients", "no", "--tls-ca-cert-file"])
            .arg(file("ca.crt"))
            .arg("--tls-cert-file")
            .arg(file("tls.crt"))
            .arg("--tls-key-file")
            .arg(file("tls.key"))
            .args(["--save", "", "--appendonly", "no"])
            .run()?;
        let server = Self {
            container,
            port,
            tls_port,
            ca: file("ca.crt"),
        };
        let answers = until(START_LIMIT, || answers(port));
        ensure!(answers, "{} does not answer", engine.key);
        Ok(server)
    }

    /// The words that run the benchmark that comes with the engine.
    pub(super) fn own_benchmark(&self, engine: &EngineImage) -> [String; 4] {
        let benchmark = engine.server().replace("-server", "-benchmark");
        ["docker", "exec", &self.container, &benchmark].map(str::to_owned)
    }

    /// Where it is administered.
    pub(super) fn url(&self) -> String {
        format!("redis://{HOST}:{}", self.port)
    }

    /// Its version, as it says it.
    pub(super) fn release(&self, engine: &EngineImage) -> anyhow::Result<String> {
        let said = Cmd::new("docker")
            .args(["exec", &self.container, engine.server(), "--version"])
            .output()?;
        let release = said
            .split_whitespace()
            .find_map(|word| word.strip_prefix("v="))
            .with_context(|| format!("{} does not tell its version", engine.key))?;
        let (kind, _) = engine.key.split_once('-').unwrap_or((engine.key, ""));
        Ok(format!("{kind} {release}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails only where the server has ended already.
        let _ = docker().args(["kill", &self.container]).run();
    }
}

fn answers(port: u16) -> bool {
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((HOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"+PONG")
    };
    asked().unwrap_or(false)
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((HOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr()?.port())
}
