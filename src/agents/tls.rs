//! TLS towards the agents of each bus, made anew when a certificate changes.

use super::AgentError;
use crate::error::chain;
use cachebus_core::bus::Bus;
use cachebus_core::tls::Certificates;
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::TlsConnector;

struct Config {
    authority: String,
    operator: String,
    connector: TlsConnector,
}

/// TLS towards the agents of each bus, by namespace and name.
#[derive(Clone, Default)]
pub struct Configs(Arc<Mutex<HashMap<(String, String), Config>>>);

impl Configs {
    /// TLS towards the agents of a bus: only the bus's own authority is trusted, and the operator's certificate is shown.
    pub fn connector(
        &self,
        bus: &Bus,
        certificates: &Certificates,
    ) -> Result<TlsConnector, AgentError> {
        let key = (bus.names.namespace().to_owned(), bus.names.bus().to_owned());
        let mut configs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(&key)
            && config.authority == certificates.authority.certificate()
            && config.operator == certificates.operator.certificate
        {
            return Ok(config.connector.clone());
        }
        let config = client_config(certificates).map_err(|detail| AgentError::Tls {
            bus: format!("{}/{}", key.0, key.1),
            detail,
        })?;
        let config = Config {
            authority: certificates.authority.certificate().to_owned(),
            operator: certificates.operator.certificate.clone(),
            connector: TlsConnector::from(Arc::new(config)),
        };
        let connector = config.connector.clone();
        configs.insert(key, config);
        Ok(connector)
    }

    /// Forgets a bus that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(namespace.to_owned(), name.to_owned()));
    }
}

fn client_config(certificates: &Certificates) -> Result<ClientConfig, String> {
    let text = |error: &dyn std::error::Error| chain(error);
    let der =
        |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| text(&error));
    let mut roots = RootCertStore::empty();
    roots
        .add(der(certificates.authority.certificate())?)
        .map_err(|error| text(&error))?;
    let key = PrivateKeyDer::from_pem_slice(certificates.operator.key.as_bytes())
        .map_err(|error| text(&error))?;
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![der(&certificates.operator.certificate)?], key)
        .map_err(|error| text(&error))?;
    // An agent at rest is asked some five times a minute: a full handshake costs less than the memory of its sessions.
    config.resumption = Resumption::disabled();
    Ok(config)
}
