//! The mounted certificate, and what is made of it.

use crate::error::AgentError;
use cachebus_admin::{ClientIdentity, TlsContext};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// File names in the mounted folder.
pub(crate) const CERTIFICATE: &str = "tls.crt";
pub(crate) const KEY: &str = "tls.key";
pub(crate) const AUTHORITY: &str = "ca.crt";

/// One version of the mounted material.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Material {
    folder: PathBuf,
    certificate: Vec<u8>,
    key: Vec<u8>,
    authority: Vec<u8>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Material {
    pub(crate) fn read(folder: &Path) -> Result<Self, AgentError> {
        let read = |name| {
            let path = folder.join(name);
            fs::read(&path).map_err(AgentError::file("reading", path))
        };
        Ok(Self {
            certificate: read(CERTIFICATE)?,
            key: read(KEY)?,
            authority: read(AUTHORITY)?,
            folder: folder.to_owned(),
        })
    }

    /// For connections to the bus's servers and Sentinels: trusts the bus's authority alone.
    pub(crate) fn client(&self) -> Result<Arc<TlsContext>, AgentError> {
        let identity = ClientIdentity {
            certificate_chain: &self.certificate,
            private_key: &self.key,
        };
        TlsContext::new(&self.authority, Some(identity))
            .map(Arc::new)
            .map_err(|error| self.unusable(&error))
    }

    /// For the operator: asks for a client certificate of the bus's authority.
    pub(crate) fn server(&self) -> Result<Arc<ServerConfig>, AgentError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(&self.authority)? {
            roots
                .add(certificate)
                .map_err(|error| self.unusable(&error))?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| self.unusable(&error))?;
        let key =
            PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| self.unusable(&error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unusable(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.certificates(&self.certificate)?, key)
            .map_err(|error| self.unusable(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Expiry of the certificate, seconds since 1970.
    pub(crate) fn expires(&self) -> Option<i64> {
        let leaf = self
            .certificates(&self.certificate)
            .ok()?
            .into_iter()
            .next()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).ok()?;
        Some(parsed.validity().not_after.timestamp())
    }

    fn certificates(&self, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, AgentError> {
        CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &dyn std::error::Error) -> AgentError {
        AgentError::TlsMaterial {
            path: self.folder.clone(),
            message: error.to_string(),
        }
    }
}
