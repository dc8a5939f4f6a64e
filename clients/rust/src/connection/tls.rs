//! Whom a client trusts.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_rustls::TlsConnector;

use crate::error::{Error, Result};

/// Whom a client trusts. Made once for each version of the binding.
#[derive(Clone)]
pub(crate) struct TlsTrust(Arc<ClientConfig>);

impl TlsTrust {
    /// Trusts the certificates of `ca_pem` alone, or those that the system trusts.
    pub(crate) fn new(ca_pem: Option<&str>) -> Result<Self> {
        let roots = match ca_pem {
            Some(pem) => bindings_own(pem)?,
            None => systems()?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| Error::Binding("TLS cannot be set up".to_owned()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.0))
    }
}

fn bindings_own(pem: &str) -> Result<RootCertStore> {
    let unusable = || Error::Binding("ca.crt holds no usable certificate".to_owned());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| unusable())?;
        roots.add(certificate).map_err(|_| unusable())?;
    }
    if roots.is_empty() {
        return Err(unusable());
    }
    Ok(roots)
}

fn systems() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::Binding(
            "the binding has no ca.crt, and the system trusts nobody".to_owned(),
        ));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_no_certificate_is_not_quoted() {
        for pem in ["", "hunter2", "-----BEGIN CERTIFICATE-----\nhunter2\n"] {
            let error = TlsTrust::new(Some(pem)).err().unwrap();
            assert_eq!(error.to_string(), "ca.crt holds no usable certificate");
        }
    }
}
