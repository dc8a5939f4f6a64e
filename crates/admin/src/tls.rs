//! TLS material, read from memory.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// A certificate chain and its key, both PEM, that this side shows to the peer.
#[derive(Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// Leaf first.
    pub certificate_chain: &'a [u8],
    /// PKCS#8, SEC1 or PKCS#1.
    pub private_key: &'a [u8],
}

/// What is trusted and what is shown: build it once for each version of the material, share it among connections.
pub struct TlsContext {
    config: Arc<ClientConfig>,
}

impl std::fmt::Debug for TlsContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsContext").finish_non_exhaustive()
    }
}

/// TLS material that cannot be used. Holds no part of the material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsMaterialError {
    /// A PEM text does not parse or holds nothing of its kind.
    #[error("{what} is not usable PEM: {source}")]
    Pem {
        /// Which of the texts.
        what: &'static str,
        /// What the parser said.
        source: rustls_pki_types::pem::Error,
    },
    /// There is no certificate where at least one is needed.
    #[error("{what} holds no certificate")]
    NoCertificate {
        /// Which of the texts.
        what: &'static str,
    },
    /// rustls refuses the material, such as a key that does not fit its certificate.
    #[error("TLS material refused: {0}")]
    Refused(#[from] rustls::Error),
}

impl TlsMaterialError {
    /// A stable word for conditions, Events and metrics.
    pub fn reason(&self) -> &'static str {
        "TlsMaterialInvalid"
    }
}

impl TlsContext {
    /// Trusts the certificates of `ca_pem` alone and shows `identity`, when there is one.
    pub fn new(
        ca_pem: &[u8],
        identity: Option<ClientIdentity<'_>>,
    ) -> Result<Self, TlsMaterialError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca_pem, "the CA")? {
            roots.add(certificate)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_auth_cert(
                certificates(identity.certificate_chain, "the client certificate")?,
                PrivateKeyDer::from_pem_slice(identity.private_key).map_err(|source| {
                    TlsMaterialError::Pem {
                        what: "the client key",
                        source,
                    }
                })?,
            )?,
        };
        Ok(Self {
            config: Arc::new(config),
        })
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

fn certificates(
    pem: &[u8],
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsMaterialError> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsMaterialError::Pem { what, source })?;
    if found.is_empty() {
        return Err(TlsMaterialError::NoCertificate { what });
    }
    Ok(found)
}
