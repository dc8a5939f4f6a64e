//! Where the bus of a run is, and how each side reaches it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cachebus::{CacheBus, Source};
use redis::aio::MultiplexedConnection;
use redis::{Client, TlsCertificates};
use tempfile::TempDir;

/// Where the server listens.
pub const HOST: &str = "127.0.0.1";

/// Connections of whoever has many calls share one, as many as the client has by default.
pub const SHARED: usize = 2;

/// Where the bus of a run is.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Port on 127.0.0.1 where the server speaks TLS.
    #[arg(long)]
    pub tls_port: u16,
    /// Port where it speaks plain text, for whoever administers it.
    #[arg(long)]
    pub port: u16,
    /// Certificate of the authority that has signed the server's.
    #[arg(long)]
    pub ca: PathBuf,
    /// The service's binding, as `cachebus dev` makes it.
    #[arg(long, env = "CACHEBUS_BINDING")]
    pub binding: PathBuf,
}

/// Where the bus of a run is, and how each side reaches it.
#[derive(Debug)]
pub struct Place {
    options: Options,
    /// The binding, which says that the server speaks TLS.
    binding: TempDir,
    ca_pem: String,
}

impl Place {
    /// Reads what the options name.
    pub fn open(options: Options) -> anyhow::Result<Self> {
        let ca_pem = read(&options.ca)?;
        let binding = tempfile::tempdir()?;
        for entry in fs::read_dir(&options.binding)? {
            let entry = entry?;
            // It would say where plain text is spoken.
            if entry.file_name() != "uri" {
                fs::copy(entry.path(), binding.path().join(entry.file_name()))?;
            }
        }
        for (name, text) in [
            ("port", options.tls_port.to_string()),
            ("tls", "true".to_owned()),
            ("ca.crt", ca_pem.clone()),
        ] {
            fs::write(binding.path().join(name), text)?;
        }
        Ok(Self {
            options,
            binding,
            ca_pem,
        })
    }

    /// A client of the service, as its code would have it.
    pub fn bus(&self) -> anyhow::Result<CacheBus> {
        Ok(CacheBus::open(self.source())?)
    }

    /// The service's binding.
    pub fn source(&self) -> Source {
        Source::folder(self.binding.path())
    }

    /// Connections of the plain `redis` crate, as the same service and in the same way.
    pub async fn raw(&self) -> anyhow::Result<Vec<MultiplexedConnection>> {
        let entry = |name| read(&self.binding.path().join(name));
        let (username, password) = (entry("username")?, entry("password")?);
        // They are made of characters that stand for themselves.
        let login = format!("{username}:{password}@");
        let client = Client::build_with_tls(self.url(&login), self.certificates())?;
        let mut connections = Vec::new();
        for _ in 0..SHARED {
            connections.push(client.get_multiplexed_async_connection().await?);
        }
        Ok(connections)
    }

    /// Somebody who may do everything, by plain text.
    pub async fn admin(&self) -> anyhow::Result<MultiplexedConnection> {
        let client = Client::open(format!("redis://{HOST}:{}", self.options.port))?;
        Ok(client.get_multiplexed_async_connection().await?)
    }

    /// Where the server speaks TLS, for clients that come as its default user, who may do everything and has no password.
    pub fn tls_url(&self) -> String {
        self.url("")
    }

    /// Port where the server speaks TLS.
    pub fn tls_port(&self) -> u16 {
        self.options.tls_port
    }

    /// The file of [`Place::certificates`].
    pub fn ca(&self) -> &Path {
        &self.options.ca
    }

    /// Whom to trust, for the `redis` crate.
    pub fn certificates(&self) -> TlsCertificates {
        TlsCertificates {
            client_tls: None,
            root_cert: Some(self.ca_pem.clone().into_bytes()),
        }
    }

    fn url(&self, login: &str) -> String {
        format!("rediss://{login}{HOST}:{}", self.options.tls_port)
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// One of the connections, for a loop of this number.
pub fn shared(connections: &[MultiplexedConnection], number: usize) -> MultiplexedConnection {
    connections[number % connections.len()].clone()
}
