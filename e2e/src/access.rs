//! What it takes to speak to the nodes of a bus as the operator's own user: read from the bus's Secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use cachebus_core::names::Names;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What it takes to speak to the nodes of a bus.
#[derive(Clone)]
pub struct Access {
    pub names: Names,
    /// The password of each user, internal ones and services.
    pub passwords: BTreeMap<String, String>,
    /// Trusts the bus's authority, shows no certificate.
    pub tls: Arc<ClientConfig>,
    /// The same, with the operator's certificate: agents ask for it.
    pub operator_tls: Arc<ClientConfig>,
}

impl Access {
    /// Reads the bus's Secrets.
    pub async fn read(client: &Client, names: &Names) -> anyhow::Result<Self> {
        let authority = entries(client, names, &names.serving_certificate()).await?;
        let authority = authority
            .get("ca.crt")
            .context("the serving certificate has no ca.crt")?;
        let operator = entries(client, names, &names.operator_certificate()).await?;
        let certificate = operator
            .get("tls.crt")
            .context("the operator's certificate has no tls.crt")?;
        let key = operator
            .get("tls.key")
            .context("the operator's certificate has no tls.key")?;
        Ok(Self {
            passwords: entries(client, names, &names.credentials()).await?,
            tls: tls(authority, None)?,
            operator_tls: tls(authority, Some((certificate, key)))?,
            names: names.clone(),
        })
    }

    /// A user's password.
    pub fn password(&self, user: &str) -> anyhow::Result<&str> {
        self.passwords
            .get(user)
            .map(String::as_str)
            .with_context(|| format!("{} has no password of {user}", self.names.credentials()))
    }
}

/// The entries of a Secret, as text.
pub async fn entries(
    client: &Client,
    names: &Names,
    secret: &str,
) -> anyhow::Result<BTreeMap<String, String>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), names.namespace());
    let secret = api
        .get(secret)
        .await
        .with_context(|| format!("the Secret {secret}"))?;
    secret
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| Ok((name, String::from_utf8(value.0)?)))
        .collect()
}

/// A configuration that trusts `authority` alone and shows `identity` (certificate and key), all PEM.
pub fn tls(authority: &str, identity: Option<(&str, &str)>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate)?;
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    Ok(Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder.with_client_auth_cert(
            certificates(certificate)?,
            PrivateKeyDer::from_pem_slice(key.as_bytes()).context("the key of a certificate")?,
        )?,
    }))
}

fn certificates(pem: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .context("a certificate")
}
