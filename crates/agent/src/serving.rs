//! The mounted certificate in use: by this agent towards servers and towards the operator.

use crate::error::AgentError;
use crate::tls::Material;
use cachebus_admin::TlsContext;
use rustls::ServerConfig;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Which certificate is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Counts the changes of the mounted files.
    version: u64,
    /// Expiry, seconds since 1970.
    pub(crate) expires: Option<i64>,
}

/// The version of the material that is in use, and what was made of it.
#[derive(Debug)]
pub(crate) struct Serving {
    folder: PathBuf,
    /// As last read, usable or not.
    seen: Material,
    client: Arc<TlsContext>,
    certificate: Certificate,
    server: watch::Sender<Arc<ServerConfig>>,
}

impl Serving {
    /// Begins with what is mounted.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, AgentError> {
        let material = Material::read(&folder)?;
        Ok(Self {
            client: material.client()?,
            certificate: Certificate {
                version: 0,
                expires: material.expires(),
            },
            server: watch::Sender::new(material.server()?),
            seen: material,
            folder,
        })
    }

    /// Takes up changed files, and says whether there were any. Files that cannot be used are told of once; what was in use
    /// stays in use.
    pub(crate) fn refresh(&mut self) -> Result<bool, AgentError> {
        let material = Material::read(&self.folder)?;
        if material == self.seen {
            return Ok(false);
        }
        self.seen = material.clone();
        let (client, server) = (material.client()?, material.server()?);
        self.client = client;
        self.certificate = Certificate {
            version: self.certificate.version + 1,
            expires: material.expires(),
        };
        self.server.send_replace(server);
        Ok(true)
    }

    /// For connections to servers and Sentinels.
    pub(crate) fn client(&self) -> &Arc<TlsContext> {
        &self.client
    }

    pub(crate) fn certificate(&self) -> Certificate {
        self.certificate
    }

    /// For connections of the operator; always the newest.
    pub(crate) fn server(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.server.subscribe()
    }
}
